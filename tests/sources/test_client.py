"""The client: what it tries again, what it does not, and what it says."""

import email.utils
import time
import weakref
from datetime import UTC, datetime

import pytest

from sources.servicetitan.answer import decode
from sources.servicetitan.client import Client, Meter, Patience
from sources.servicetitan.exceptions import (
    CredentialsError,
    NotAvailableError,
    ProtocolError,
    RequestRefusedError,
    UnreachableError,
)
from sources.servicetitan.passing import retry_after
from store.settings import Connection, Tenant
from tests.sources.odd_server import Answer, serving

GOOD = Answer(body={"hasMore": False, "data": [{"id": 1}]})


class FreeBudget:
    """A budget that never waits."""

    def take(self) -> float:
        return 0.0

    def apart(self, name: str, requests_per_second: float) -> "FreeBudget":  # noqa: ARG002  the budget's own signature
        return self


def client(url: str, pauses: list[float] | None = None, attempts: int = 5) -> Client:
    slept = [] if pauses is None else pauses
    tenant = Tenant(7, "cid", "hush-secret", "hush-key")
    patience = Patience(attempts=attempts, seconds=60, sleep=slept.append)
    made = Client(Connection(url, f"{url}/token", (tenant,), 1000), tenant, FreeBudget(), patience)  # type: ignore[arg-type]
    weakref.finalize(made, made.close)
    return made


def ask(asker: Client, meter: Meter | None = None):
    return asker.get("/crm/v2/tenant/7/customers", {"page": "1"}, decode, meter or Meter())


@pytest.mark.parametrize(
    "answer",
    [
        Answer(429, {"title": "slow down"}),
        Answer(500, {}),
        Answer(503, b"<html>down</html>", {"Content-Type": "text/html"}),
        Answer(200, b"<html>login</html>", {"Content-Type": "text/html"}),
        Answer(409, {"title": "The service is suspended for maintenance. Please try again later."}),
        Answer(200, b'{"hasMore":false,"data":[{"id":'),
        Answer(200, {"data": []}, cut=True),
        Answer(200, b"\x1f\x8b\x08 no more", {"Content-Encoding": "gzip"}),
        Answer(409, b"<p>Suspended for Maintenance</p>", {"Content-Type": "text/plain"}),
    ],
    ids=["429", "500", "html 503", "html 200", "maintenance", "cut json", "cut body", "cut gzip", "maintenance text"],
)
def test_what_passes_by_itself_is_tried_again_and_counted(answer: Answer):
    """The records come in the end, and the meter tells of the retries."""
    with serving(answer, answer, GOOD) as server:
        meter = Meter()
        assert len(ask(client(server.url), meter).data) == 1
        assert (meter.requests, meter.retries) == (3, 2)


def test_retry_after_is_obeyed():
    """The wait is at least what ServiceTitan asked for."""
    pauses: list[float] = []
    with serving(Answer(429, {}, {"Retry-After": "7"}), GOOD) as server:
        ask(client(server.url, pauses))
    assert 7 <= pauses[0] <= 8


def test_retry_after_may_be_a_date():
    """Both forms of the header are understood, anything else asks for nothing."""
    soon = email.utils.format_datetime(datetime.fromtimestamp(time.time() + 30, UTC), usegmt=True)
    assert 25 <= retry_after(soon) <= 30
    assert retry_after("later") == 0
    assert retry_after("12") == 12


def test_waits_differ():
    """Jitter: many clients do not come back at once."""
    pauses: list[float] = []
    with serving(Answer(500, {})) as server, pytest.raises(UnreachableError):
        ask(client(server.url, pauses, attempts=8))
    assert len(set(pauses)) == len(pauses) == 7


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (Answer(404, {"title": "No such thing"}), NotAvailableError, "does not exist for this tenant"),
        (Answer(403, {}), NotAvailableError, "may not be read by this application"),
        (
            Answer(400, {"title": "Bad", "errors": {"page": ["is odd"]}, "traceId": "t1"}),
            RequestRefusedError,
            "page: is odd; trace t1",
        ),
        (Answer(409, {"title": "Unknown job ID"}), RequestRefusedError, "Unknown job ID"),
        (Answer(400, b"\xff\x00 no json"), RequestRefusedError, "400"),
    ],
    ids=["404", "403", "400", "409", "400 without a body"],
)
def test_what_does_not_pass_is_an_error_at_once(answer: Answer, error: type[Exception], text: str):
    """One request, and a message with ServiceTitan's own words."""
    with serving(answer) as server:
        meter = Meter()
        with pytest.raises(error, match=text):
            ask(client(server.url), meter)
        assert meter.requests == 1


def test_a_wait_beyond_patience_is_not_begun():
    """A `Retry-After` of an hour ends the reading of this entity at once, not in an hour; the message says why."""
    pauses: list[float] = []
    with (
        serving(Answer(429, {"title": "slow down"}, {"Retry-After": "3600"})) as server,
        pytest.raises(UnreachableError, match="status 429 .slow down"),
    ):
        ask(client(server.url, pauses))
    assert pauses == []


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_token_endpoint_that_is_busy_is_asked_again(status: int):
    """In mid-run and at the beginning; the retries are counted with the request that needed the token."""
    busy = Answer(status, b"<html>busy</html>", {"Retry-After": "2"})
    good = Answer(body={"access_token": "good", "expires_in": 900})
    pauses: list[float] = []
    with serving(GOOD, tokens=[busy, busy, good]) as server:
        meter = Meter()
        assert len(ask(client(server.url, pauses), meter).data) == 1
        assert (meter.requests, meter.retries) == (1, 2)
        assert min(pauses) >= 2
    with serving(tokens=[busy, good]) as server:
        client(server.url).authenticate()


def test_a_token_is_shared_and_renewed_once_on_401():
    """Two requests use one token; a 401 in mid-run fetches another and goes on, which counts as a retry."""
    tokens = [Answer(body={"access_token": name, "expires_in": 900}) for name in ("first", "second")]
    with serving(GOOD, Answer(401, {}), GOOD, tokens=tokens) as server:
        asker, meter = client(server.url), Meter()
        ask(asker, meter)
        ask(asker, meter)
        assert (meter.requests, meter.retries) == (3, 1)
        assert server.authorizations == ["Bearer first", "Bearer first", "Bearer second"]
        assert server.tokens_asked == 2


def test_a_third_401_is_about_the_credentials():
    """Two may be bad luck, when other threads' tokens end too; more are no endless loop. No secret in the message."""
    with serving(Answer(401, {}), Answer(401, {}), GOOD) as server:
        assert len(ask(client(server.url)).data) == 1
    with serving(Answer(401, {})) as server, pytest.raises(CredentialsError, match="SERVICE_TITAN_APP_KEY") as caught:
        ask(client(server.url))
    assert len(server.authorizations) == 3
    assert "hush" not in str(caught.value)


def test_a_token_is_renewed_a_minute_before_it_ends():
    """A token that lives no longer than the margin is used for half its life."""
    now = [0.0]
    with serving(GOOD) as server:
        asker = client(server.url)
        asker.tokens.clock = lambda: now[0]
        for now[0] in (0.0, 839.0, 841.0):
            ask(asker)
        assert server.tokens_asked == 2


@pytest.mark.parametrize("status", [400, 401, 403])
def test_refused_credentials_say_which_settings_to_check(status: int):
    """With the endpoint's reason, without the secret."""
    refused = [Answer(status, {"error": "invalid_client"})]
    with (
        serving(tokens=refused) as server,
        pytest.raises(CredentialsError, match="invalid_client.*CLIENT_ID") as caught,
    ):
        client(server.url).authenticate()
    assert "hush" not in str(caught.value)


def test_an_address_that_is_no_token_endpoint_is_named():
    """A good answer without a token."""
    with (
        serving(tokens=[Answer(200, {"hello": 1})]) as server,
        pytest.raises(UnreachableError, match="SERVICE_TITAN_AUTH_URL"),
    ):
        client(server.url).authenticate()


def test_a_host_that_is_away_is_given_up_soon_by_the_others(caplog: pytest.LogCaptureFixture):
    """The first request is patient, and tells why it takes long; while nothing has answered since, each other one tries once."""
    asker = client("http://127.0.0.1:1", attempts=3)
    asker.tokens.token, asker.tokens.ends = "t", float("inf")
    meters = [Meter(), Meter()]
    for meter in meters:
        with pytest.raises(UnreachableError, match="SERVICE_TITAN_API_URL"):
            ask(asker, meter)
    assert [meter.requests for meter in meters] == [3, 1]
    [told] = caplog.messages
    assert told.startswith("http://127.0.0.1:1/crm/v2/tenant/7/customers does not answer (")
    assert "up to 60 s" in told


def test_json_of_another_shape_is_a_protocol_error_in_the_end():
    """A page without records is not an empty page."""
    with serving(Answer(body={"items": []})) as server, pytest.raises(ProtocolError, match="not the expected JSON"):
        ask(client(server.url, attempts=2))
