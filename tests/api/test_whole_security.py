"""Who gets in and who does not, and that nothing a stranger sends breaks anything."""

import base64
import random
import string
from collections.abc import Iterator

import pytest
from litestar.testing import TestClient

from api.app import create_app
from api.parameters import list_parameters
from api.routes import ROUTES, Kind, Route
from store import keys
from tests.api.conftest import Api
from tests.api.test_whole_contract import NAMED, path_to

NAMED_ROUTES = pytest.mark.parametrize("route", NAMED, ids=lambda route: route.path)
OTHERS = ["/api/health/sync", "/api/health/tables", "/api/v1/crm/stats", "/api/v1/entities", "/metrics"]
PAGES = ["/api/docs", "/api/docs/openapi.json", "/api/docs/assets/swagger-ui.css"]
HOSTILE = (
    "' OR 1=1 --",
    "'; DROP TABLE master.customers; --",
    '" UNION SELECT secret_hash FROM system.api_keys --',
    "%00",
    "\\' OR ''='",
    "${jndi:ldap://127.0.0.1/x}",
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "a\r\nset-cookie: stolen=1",
    "9" * 400,
    "\u202e\ud7ff\U0010ffff",
    "{}[]()*+?.,\\^$|#",
)


def all_paths() -> list[str]:
    """Every path that needs a key, with keys that no record has."""
    below = [f"/api/v1/{route.path.replace('{id}', '1').replace('{table}', 'jobs')}" for route in ROUTES]
    return [*below, *OTHERS, *PAGES]


@pytest.fixture(scope="module")
def stranger(api: Api) -> Iterator[TestClient]:
    """The same API, asked without a key."""
    app = create_app(api.whole.stores.settings, api.whole.stores.warehouse)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def test_every_route_is_closed_without_a_key(api: Api, stranger: TestClient):
    """Also with an empty, a malformed, an unknown and a revoked one, and with the key in the wrong place."""
    made = api.key("read")
    revoked = api.key("read")
    keys.revoke(api.whole.stores.operations, revoked.split("_")[1])
    wrong = made[:-2] + ("ab" if made[-2:] != "ab" else "cd")
    basic = base64.b64encode(f"someone:{made}".encode()).decode()
    for path in all_paths():
        assert stranger.get(path).status_code == 401, path
    for headers in (
        {"x-api-key": ""},
        {"x-api-key": "nonsense"},
        {"x-api-key": wrong},
        {"x-api-key": revoked},
        {"authorization": f"Bearer {revoked}"},
        {"authorization": f"Basic {basic}"},
        {"authorization": made},
        {"cookie": f"x-api-key={made}"},
    ):
        for path in all_paths()[::20]:
            if not (path in PAGES and "Basic" in str(headers)):
                found = stranger.get(path, headers=headers)
                assert found.status_code == 401, (path, headers)
                assert found.headers["www-authenticate"]
                assert made not in found.text
    assert stranger.get(f"/api/v1/customers?x-api-key={made}").status_code == 401
    assert stranger.post("/api/v1/crm/refresh").status_code == 401


def test_a_key_opens_as_header_and_bearer_and_for_people_as_password(api: Api, stranger: TestClient):
    """Pages ask a browser for it; everything else does not take what browsers send by themselves."""
    made = api.key("read")
    basic = {"authorization": "Basic " + base64.b64encode(f"me:{made}".encode()).decode()}
    assert stranger.get("/api/v1/customers", headers={"x-api-key": made}).status_code == 200
    assert stranger.get("/api/v1/customers", headers={"authorization": f"Bearer {made}"}).status_code == 200
    assert stranger.get("/api/docs/assets/swagger-ui.css", headers=basic).status_code == 200
    assert stranger.get("/api/docs").headers["www-authenticate"].startswith("Basic")
    assert stranger.get("/api/v1/customers", headers=basic).status_code == 401


def test_a_scope_opens_what_it_names(api: Api, stranger: TestClient):
    """Reading needs `read`, asking for a refresh `mutate`; the problem says what is missing."""
    reads, mutates = ({"x-api-key": api.key(scope)} for scope in ("read", "mutate"))
    assert stranger.post("/api/v1/crm/refresh", headers=reads).status_code == 403
    assert stranger.post("/api/v1/crm/refresh", headers=mutates).status_code == 202
    for path in all_paths()[::10]:
        found = stranger.get(path, headers=mutates)
        assert found.status_code == 403, path
        assert "`read`" in found.json()["detail"]


@NAMED_ROUTES
def test_another_tenants_key_sees_nothing(api: Api, route: Route):
    """The same request that finds rows with the tenant's own key."""
    path = f"/api/v1/{path_to(api, route)}"
    assert api.client.get(path).json()["data"]
    found = api.client.get(path, headers={"x-api-key": api.key("read", tenant=api.tenant + 1)})
    if route.kind is Kind.DETAIL or route.owner:
        assert found.status_code == 404
    else:
        assert (found.status_code, found.json()["data"], found.json()["meta"]["total"]) == (200, [], 0)
        assert found.json()["meta"]["last_sync"] is None


def test_another_tenants_key_sees_no_sums_and_no_freshness(api: Api):
    """Nor the health of syncs."""
    other = {"x-api-key": api.key("read", tenant=api.tenant + 1)}
    assert api.client.get("/api/v1/crm/stats", headers=other).json()["data"]["customers"] == 0
    rows = api.client.get("/api/health/sync", headers=other).json()["data"]
    assert {row["status"] for row in rows} == {"never"}


def test_a_key_may_ask_so_often(api: Api):
    """The request beyond the limit is a 429 that says when to come again, and other keys are not touched."""
    for limits in ({"per_minute": 3}, {"per_hour": 3}):
        made = {"x-api-key": api.key("read", **limits)}
        codes = [api.client.get("/api/v1/entities", headers=made).status_code for _ in range(5)]
        assert codes.count(200) in {3, 4}  # the clock may pass into the next stretch
        assert codes[-1] == 429
        answer = api.client.get("/api/v1/entities", headers=made)
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json()["title"] == "Too many requests"
    assert api.client.get("/api/v1/entities").status_code == 200


def test_last_use_is_recorded(api: Api):
    """A key that was never used has none."""
    made, unused = api.key("read"), api.key("read")
    api.client.get("/api/v1/entities", headers={"x-api-key": made})
    found = {key.key_id: key for key in keys.every(api.whole.stores.operations)}
    assert found[made.split("_")[1]].last_used_at is not None
    assert found[unused.split("_")[1]].last_used_at is None


@NAMED_ROUTES
def test_hostile_texts_break_nothing(api: Api, route: Route):
    """In every parameter and every part of the path: an answer or a problem, never an error of ours."""
    path = path_to(api, route)
    for number, (name, parameter) in enumerate(list_parameters(route.resource).items()):
        for text in HOSTILE if parameter.kind in {"text", "mark"} else HOSTILE[number % 4 :: 4]:
            found = api.client.get(f"/api/v1/{path}", params={name: text})
            allowed = {400, 409} if parameter.kind == "mark" else {200, 400}
            assert found.status_code in allowed, (name, text, found.text)
            assert "set-cookie" not in found.headers
            if found.status_code == 200:
                assert parameter.kind == "text"
    for text in HOSTILE:
        for part in ("{id}", "{table}"):
            if part in route.path:
                other = route.path.replace(part, encoded(text)).replace("{id}", "1").replace("{table}", "jobs")
                assert api.client.get(f"/api/v1/{other}").status_code in {400, 404, 200}, other


def encoded(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


def test_hostile_headers_break_nothing(api: Api):
    """Ids that are not plain are replaced; nothing comes back as a header of its own."""
    for text in (b"a\tb", b"x" * 300, b"<script>", b"\xff\xfe", b"' OR 1=1"):
        for name in ("x-request-id", "accept", "if-none-match", "x-api-key", "authorization", "origin"):
            found = api.client.get("/api/v1/customers", headers=[(name.encode(), text)], params={"limit": 1})
            assert found.status_code in {200, 304, 401, 406}, (name, text)
            assert text not in {value for _, value in found.headers.raw}
    kept = api.client.get("/api/v1/entities", headers={"x-request-id": "abc-123"})
    assert kept.headers["x-request-id"] == "abc-123"
    assert kept.headers["x-content-type-options"] == "nosniff"
    assert (
        "access-control-allow-origin"
        not in api.client.get("/api/v1/entities", headers={"origin": "https://elsewhere.example"}).headers
    )


def test_bodies_that_are_too_large_or_malformed_are_refused(api: Api):
    """The first says what is allowed; a route that wants no body reads none."""
    kind = {"content-type": "application/json"}
    large = api.client.post("/api/v1/crm/refresh", content=b"x" * 1_000_001, headers=kind)
    assert (large.status_code, "allowed are 1000000" in large.json()["detail"]) == (413, True), large.text
    for body in (b"x" * 1_000_000, b"{", b"\xff" * 100, b'{"a": ' * 10_000):
        assert api.client.post("/api/v1/crm/refresh", content=body, headers=kind).status_code == 202


@pytest.mark.parametrize("requests", [500, pytest.param(10_000, marks=pytest.mark.slow)])
def test_fuzzed_requests_find_no_error_of_ours(api: Api, requests: int):
    """Random routes, parameters, values and methods."""
    chance = random.Random(requests)  # noqa: S311  not for cryptography
    alphabet = string.printable + "é漢\u0000\u202e'\"%;"
    for _ in range(requests):
        route = chance.choice(ROUTES)
        path = route.path.replace("{id}", encoded(word(chance, alphabet))).replace("{table}", "jobs")
        names = [*list_parameters(route.resource), word(chance, string.ascii_letters)]
        query = {chance.choice(names): word(chance, alphabet) for _ in range(chance.randrange(4))}
        method = chance.choice(["GET"] * 8 + ["POST", "DELETE", "PUT", "OPTIONS"])
        found = api.client.request(method, f"/api/v1/{path}", params=query)
        assert found.status_code < 500, (method, path, query, found.text)


def word(chance: random.Random, alphabet: str) -> str:
    return "".join(chance.choice(alphabet) for _ in range(chance.choice((1, 1, 3, 10, 60))))


def test_no_answer_shows_sql_or_a_trace(api: Api, monkeypatch: pytest.MonkeyPatch):
    """What nobody foresaw is a 500 with an id and nothing else."""
    monkeypatch.setattr("api.page.page", lambda *_: 1 / 0)
    found = api.client.get("/api/v1/customers")
    assert found.status_code == 500
    assert found.json()["request_id"] == found.headers["x-request-id"]
    for text in ("ZeroDivision", "Traceback", "SELECT", "api/"):
        assert text not in found.text
