"""What ServiceTitan's webhooks say: signed, kept once, and what they name is wished for."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar.testing import TestClient

from api.app import create_app
from api.webhooks import is_signed, named
from sources.servicetitan.catalog import CATALOG, Feed
from store.exceptions import SettingsError
from store.operations import Operations, open_operations
from store.settings import Places, Settings, WebhookSettings, webhook_settings
from tests.cli.test_commands import NOWHERE

SECRET = "a secret of thirty-two characters"
HEX = WebhookSettings(SECRET, "x-servicetitan-signature", "hex")
BASE64 = WebhookSettings(SECRET, "x-signature", "base64")
BODY = json.dumps({"eventType": "tn.jpm.job-updated", "data": {"id": 5}}).encode()


def signature(body: bytes, settings: WebhookSettings) -> str:
    digest = hmac.digest(settings.secret.encode(), body, hashlib.sha256)
    return digest.hex() if settings.encoding == "hex" else base64.b64encode(digest).decode()


@pytest.mark.parametrize("settings", [HEX, BASE64], ids=["hex", "base64"])
@given(body=st.binary(max_size=200), other=st.binary(max_size=200))
def test_a_signature_is_of_one_body(settings: WebhookSettings, body: bytes, other: bytes):
    """With a name of the algorithm before it or not; of another body it is none."""
    assert is_signed(body, signature(body, settings), settings)
    assert is_signed(body, f"sha256={signature(body, settings)}", settings)
    assert is_signed(other, signature(body, settings), settings) == (body == other)


@pytest.mark.parametrize("settings", [HEX, BASE64], ids=["hex", "base64"])
@given(text=st.text())
def test_any_other_text_is_no_signature(settings: WebhookSettings, text: str):
    """And no error."""
    assert is_signed(BODY, text, settings) == (text.strip().removeprefix("sha256=") == signature(BODY, settings))


@pytest.mark.parametrize("entity", [e for e in CATALOG if e.feed in {Feed.EXPORT, Feed.LIST}], ids=lambda e: e.name)
def test_an_entity_is_known_by_its_name(entity):
    """As an event's word and as a type's name."""
    word = entity.name.replace("_", "-")
    kind = "".join(part.title() for part in entity.name.split("_"))
    for document in ({"event": f"tn.{entity.module}.{word}-updated"}, {"data": [{"entityType": kind}]}):
        assert entity in named(json.dumps(document).encode())


@given(
    st.binary()
    | st.text().map(str.encode)
    | st.recursive(st.none() | st.text(), st.lists).map(json.dumps).map(str.encode)
)
def test_a_body_without_a_name_names_nothing(body: bytes):
    """Whatever it is, and without an error."""
    assert named(body) == []


@pytest.fixture
def operations(settings: Settings) -> Iterator[Operations]:
    with closing(open_operations(settings)) as opened:
        yield opened


@pytest.fixture
def client(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[TestClient]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAZI_WEBHOOK_SECRET", SECRET)
    with TestClient(create_app(settings)) as made:
        yield made


def send(client: TestClient, body: bytes, signed: str, tenant: object = 7):
    return client.post(f"/api/webhooks/servicetitan/{tenant}", content=body, headers={HEX.header: signed})


def test_an_event_is_kept_once_and_wished_for(client: TestClient, operations: Operations):
    """A repetition is answered with success too, because ServiceTitan would repeat it for ever; the same may happen again."""
    signed = signature(BODY, HEX)
    for is_new in (True, False):
        answer = send(client, BODY, signed)
        assert (answer.status_code, answer.json()) == (202, {"is_new": is_new, "entities": ["jobs"]})
    [event] = operations.run("webhook_events", most=10)
    assert (event["tenant_id"], event["body"], event["entities"]) == (7, BODY.decode(), "jobs")
    [wish] = operations.run("wishes", tenant_id=7)
    assert (wish["entity"], wish["work"]) == ("jobs", "sync")
    operations.run("forget_wish", tenant_id=7, **wish)
    assert operations.run("wishes", tenant_id=7) == []
    assert send(client, BODY, signed).json()["is_new"] is False
    assert [row["entity"] for row in operations.run("wishes", tenant_id=7)] == ["jobs"]


@pytest.mark.parametrize("signed", ["", "nonsense", signature(b"another", HEX)])
def test_what_is_not_signed_is_not_heard(client: TestClient, operations: Operations, signed: str):
    """401, and nothing is kept."""
    answer = send(client, BODY, signed)
    assert answer.status_code == 401
    assert SECRET not in answer.text
    assert operations.run("webhook_events", most=10) == []


def test_a_tenant_that_is_not_configured_is_not_there(
    settings: Settings, operations: Operations, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """404, and nothing is kept; where no tenant is configured here it may be any."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAZI_WEBHOOK_SECRET", SECRET)
    for name, value in NOWHERE.items():
        monkeypatch.setenv(name, value)
    with TestClient(create_app(settings)) as client:
        assert send(client, BODY, signature(BODY, HEX), tenant=7).status_code == 404
        assert send(client, BODY, signature(BODY, HEX), tenant=1).status_code == 202
    assert [event["tenant_id"] for event in operations.run("webhook_events", most=10)] == [1]


def test_webhooks_are_off_unless_a_secret_is_set(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """404, whoever signs it."""
    monkeypatch.chdir(tmp_path)
    with TestClient(create_app(settings)) as client:
        assert send(client, BODY, signature(BODY, HEX)).status_code == 404


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b"\xff\x00nothing", "\ufffd\ufffdnothing"),
        (b'{"event": "\xff"}', '{"event": "\ufffd"}'),
        (b"[" * 200_000 + b"]" * 200_000, "[" * 200_000 + "]" * 200_000),
    ],
    ids=["no JSON", "no UTF-8", "deep"],
)
def test_what_cannot_be_read_is_kept_and_names_nothing(
    client: TestClient, operations: Operations, body: bytes, kept: str
):
    """NUL, which PostgreSQL does not take, becomes the mark of what cannot be shown."""
    assert send(client, body, signature(body, HEX)).json() == {"is_new": True, "entities": []}
    assert operations.run("webhook_events", most=10)[0]["body"] == kept


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("LAZI_WEBHOOK_SECRET", "hush-short", "10 characters"),
        ("LAZI_WEBHOOK_HEADER", "X Signature", "name of an HTTP header"),
        ("LAZI_WEBHOOK_ENCODING", "hexa", "`hex` or `base64`"),
    ],
)
def test_a_wrong_setting_says_what_is_right(name: str, value: str, text: str):
    """And never the secret."""
    with pytest.raises(SettingsError) as error:
        webhook_settings(Places({name: value}, Path("/nonexistent")))
    assert text in str(error.value)
    assert "hush" not in str(error.value)
