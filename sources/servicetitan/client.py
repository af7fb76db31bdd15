"""Requests to ServiceTitan: authorized, within the budget, retried where that can help. The only place that retries.

What can pass by itself (429, 5xx, a page of HTML, 409 for maintenance, a broken connection, a body cut short) is tried
again with jitter, after what `Retry-After` asks for, within a bounded time: a wait that would reach beyond it is not
begun. A token that ends before its time is replaced. Everything else is an error at once.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
import msgspec
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, stop_before_delay
from tenacity.wait import wait_random_exponential

from sources.servicetitan.auth import Tokens
from sources.servicetitan.exceptions import (
    CredentialsError,
    NotAvailableError,
    NotFoundError,
    ProtocolError,
    RequestRefusedError,
    ServiceTitanError,
    UnreachableError,
)
from sources.servicetitan.lines import Lines
from sources.servicetitan.passing import PassingError, is_passing, retry_after
from store.rate_budget import RateBudget
from store.settings import Connection, Tenant

T = TypeVar("T")

log = logging.getLogger(__name__)

UNAUTHORIZED, FORBIDDEN, NOT_FOUND, CONFLICT = 401, 403, 404, 409
SUSPENDED = "suspended for maintenance"  # of a 409 that passes
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
BROKEN = (httpx.TransportError, httpx.DecodingError)  # the second one: a compressed body cut short
ABSENT = (httpx.ConnectError, httpx.ConnectTimeout)
TOKENS, TOKENS_ONCE_ADMITTED = 3, 8
"""So many in a row may be refused: others may end a token while a request waits for its turn. Where requests were answered
before, the key of the application is right, and only others can be the reason.
"""


class Problem(msgspec.Struct):
    """ServiceTitan's error body."""

    title: str | None = None
    detail: str | None = None
    errors: dict[str, list[str]] | None = None
    trace_id: str | None = msgspec.field(default=None, name="traceId")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a request is tried again."""

    attempts: int = 8
    seconds: float = 180.0
    longest_wait: float = 30.0
    sleep: Callable[[float], None] = time.sleep


@dataclass(slots=True)
class Meter:
    """What reading one entity took."""

    requests: int = 0
    retries: int = 0
    bytes: int = 0

    def add(self, other: "Meter") -> None:
        """Count what another one counted."""
        self.requests += other.requests
        self.retries += other.retries
        self.bytes += other.bytes


@dataclass
class Client:
    """One tenant's ServiceTitan. Safe to use from several threads."""

    connection: Connection
    tenant: Tenant
    budget: RateBudget
    patience: Patience = Patience()
    lines: Lines = field(default_factory=Lines)
    tokens: Tokens = field(init=False)
    gave_up: threading.Event = field(default_factory=threading.Event)  # the host is away: others need not wait as long
    admitted: bool = False  # some request was answered other than by 401
    refusal: ServiceTitanError | None = None  # why a request was not
    told: bool = False  # that the host is away

    def __post_init__(self) -> None:
        self.tokens = Tokens(self.connection.auth_url, self.tenant, self.lines)

    def close(self) -> None:
        """Let go of the connections."""
        self.lines.close()

    def authenticate(self) -> None:
        """Prove that the credentials open the door. Raises CredentialsError or UnreachableError, after a short time."""
        brief = Patience(attempts=3, seconds=10.0, longest_wait=2.0, sleep=self.patience.sleep)
        self.persist(self.tokens.current, Meter(), brief, self.connection.auth_url)

    @property
    def shut_out(self) -> ServiceTitanError | None:
        """Why no request at all got through, when requests were made and none did: all others will fare the same."""
        return None if self.admitted else self.refusal

    def get(self, path: str, params: Mapping[str, str], decode: Callable[[bytes], T], meter: Meter) -> T:
        """What `decode` makes of the answer to `GET path`. See `ask`."""
        return self.ask("GET", path, decode, meter, params=params)

    def ask(self, method: str, path: str, decode: Callable[[bytes], T], meter: Meter, **parts: Any) -> T:
        """What `decode` makes of an answer; a body it cannot read counts as cut short. `parts` are httpx's params and json.

        For reading only: a request may be sent several times.

        Raises CredentialsError, NotAvailableError, RequestRefusedError, ProtocolError or UnreachableError.
        """
        url = f"{self.connection.api_url}{path}"
        brief = Patience(attempts=1, sleep=self.patience.sleep) if self.gave_up.is_set() else self.patience
        try:
            return self.persist(lambda: decode(self.send(method, url, meter, **parts)), meter, brief, url)
        except (CredentialsError, UnreachableError) as error:
            self.refusal = error
            raise

    def persist(self, attempt: Callable[[], T], meter: Meter, patience: Patience, url: str) -> T:
        """Try until it works or patience ends."""

        def before_sleep(state: RetryCallState) -> None:
            meter.retries += 1
            error = state.outcome.exception() if state.outcome else None
            if isinstance(error, ABSENT) and not self.told:
                self.told = True
                log.warning(
                    "%s does not answer (%s); it is tried again for up to %.0f s.", url, error, patience.seconds
                )

        retrying = Retrying(
            retry=retry_if_exception_type((PassingError, *BROKEN, msgspec.DecodeError)),
            stop=stop_after_attempt(patience.attempts) | stop_before_delay(patience.seconds),
            wait=lambda state: pause(state, patience.longest_wait),
            sleep=patience.sleep,
            before_sleep=before_sleep,
            reraise=True,
        )
        try:
            result = retrying(attempt)
        except (PassingError, *BROKEN) as error:
            if isinstance(error, httpx.TransportError):
                self.gave_up.set()
            tries = retrying.statistics.get("attempt_number", 1)
            is_here = httpx.URL(url).host in LOOPBACK
            raise UnreachableError(
                f"No usable answer from {url} after {tries} tries: {error or type(error).__name__}. Is the address right "
                "(SERVICE_TITAN_API_URL, SERVICE_TITAN_AUTH_URL, SERVICE_TITAN_ENV), and "
                f"{'does `lazi sandbox` run there' if is_here else 'is this machine online'}? The next run goes on where this "
                "one stopped."
            ) from None
        except msgspec.DecodeError as error:
            raise ProtocolError(f"{url} answers with something that is not the expected JSON: {error}.") from None
        self.gave_up.clear()
        self.told = False
        return result

    def send(self, method: str, url: str, meter: Meter, **parts: Any) -> bytes:
        """One request's body; a 401 renews the token and sends it again."""
        most = TOKENS_ONCE_ADMITTED if self.admitted else TOKENS
        for number in range(most):
            token = self.tokens.current()
            self.budget.take()
            meter.requests += 1
            meter.retries += number > 0
            headers = {"Authorization": f"Bearer {token}", "ST-App-Key": self.tenant.app_key}
            with self.lines.one() as http:
                answer = http.request(method, url, headers=headers, **parts)
            if answer.status_code != UNAUTHORIZED:
                self.admitted = True
                meter.bytes += len(answer.content)
                return body_of(answer)
            self.tokens.forget(token)
        raise CredentialsError(
            f"{url} answered 401 to {most} tokens of tenant `{self.tenant.tenant_id}`, fresh ones among them. Check "
            "SERVICE_TITAN_APP_KEY, and that the tenant's administrator has connected the application."
        )


def body_of(answer: httpx.Response) -> bytes:
    """The body of a good answer; an error otherwise."""
    status, url = answer.status_code, answer.url.copy_with(query=None)
    is_html = answer.headers.get("content-type", "").startswith("text/html")
    if answer.is_success and not is_html:
        return answer.content
    problem = problem_of(answer)
    if is_passing(status) or is_html or is_maintenance(answer):
        raise PassingError(f"status {status} ({problem})", retry_after(answer.headers.get("retry-after", "")))
    if status == NOT_FOUND:
        raise NotFoundError(f"{url} does not exist for this tenant ({status}, {problem}).")
    if status == FORBIDDEN:
        raise NotAvailableError(f"{url} may not be read by this application ({status}, {problem}).")
    raise RequestRefusedError(f"ServiceTitan refused {url} with {status}: {problem}.")


def is_maintenance(answer: httpx.Response) -> bool:
    """Whether ServiceTitan says that a service is suspended for maintenance; other conflicts may name a Maintenance Plan."""
    return answer.status_code == CONFLICT and SUSPENDED in answer.text.casefold()


def problem_of(answer: httpx.Response) -> str:
    """What an error body says, in a line."""
    try:
        problem = msgspec.json.decode(answer.content, type=Problem)
    except msgspec.DecodeError:
        return answer.reason_phrase or "no reason given"
    fields = [f"{name}: {' '.join(texts)}" for name, texts in (problem.errors or {}).items()]
    parts = [problem.title, problem.detail, *fields, problem.trace_id and f"trace {problem.trace_id}"]
    return "; ".join(part for part in parts if part) or "no reason given"


def pause(state: RetryCallState, longest: float) -> float:
    """Seconds until the next try: what was asked for, else exponential; always with jitter."""
    error = state.outcome.exception() if state.outcome else None
    jittered = wait_random_exponential(multiplier=0.5, max=longest)(state)
    asked = error.wait if isinstance(error, PassingError) else 0.0
    return asked + min(jittered, 1.0) if asked else jittered
