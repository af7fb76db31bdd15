"""Requests that change something in ServiceTitan: sent once, and told apart by what may have become of them.

A failure says whether the change can have been made (`DoubtfulError`), was refused (`WriteRefusedError`) or never was sent
(`NotSentError`). Only what is certain not to have been done is tried again here: a token that ended.

All that has to be waited for, a token and a place in the budget, is waited for before the change is noted as sent
(`permitted`); what is sent after its time is not sent.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx

from sources.servicetitan.client import TOKENS, UNAUTHORIZED, Client, Meter, is_maintenance, problem_of
from sources.servicetitan.exceptions import CredentialsError, ServiceTitanError
from sources.servicetitan.passing import TOO_MANY, PassingError, is_passing, retry_after
from store.exceptions import StoreError

NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
"""Failures before the first byte."""


class WriteError(ServiceTitanError):
    """A change was not confirmed."""


class NotSentError(WriteError):
    """Nothing was done; `wait` is what ServiceTitan asked for, in seconds."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


class WriteRefusedError(WriteError):
    """ServiceTitan refused the change."""

    def __init__(self, reason: str, status: int, body: str) -> None:
        super().__init__(reason)
        self.status, self.body = status, body


class DoubtfulError(WriteError):
    """The change may have been made: no answer came, or one that does not tell."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Written:
    """A good answer."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Permit:
    """The right to send one request: a token, a place in the budget that was waited for, and until when it may go out."""

    token: str
    until: datetime | None = None

    @property
    def is_over(self) -> bool:
        """Whether it came too late."""
        return self.until is not None and datetime.now(UTC) > self.until


def permitted(client: Client) -> Permit:
    """Wait until one request may be sent. Raises NotSentError, CredentialsError or StoreError."""
    token = token_of(client)
    client.budget.take()
    return Permit(token)


def write(client: Client, method: str, path: str, meter: Meter, permit: Permit, **parts: Any) -> Written:
    """Send a change once. `parts` are httpx's `json`, `content` or `files`.

    Raises NotSentError, WriteRefusedError, DoubtfulError or CredentialsError.
    """
    url = f"{client.connection.api_url}{path}"
    for _ in range(TOKENS):
        meter.requests += 1
        answer = sent(client, method, url, permit, parts)
        if answer.status_code != UNAUTHORIZED:
            client.admitted = True
            return judged(answer)
        client.tokens.forget(permit.token)
        permit = renewed(client, permit)
    raise CredentialsError(
        f"{url} answered 401 to {TOKENS} tokens of tenant `{client.tenant.tenant_id}`. Check SERVICE_TITAN_APP_KEY, and that the "
        "application may write (scopes are given when it is connected)."
    )


def renewed(client: Client, permit: Permit) -> Permit:
    """Another permit after a token that was refused. Raises NotSentError or CredentialsError: nothing was done in any case."""
    try:
        return replace(permitted(client), until=permit.until)
    except StoreError as error:
        raise NotSentError(f"the token was refused, and there is no place in the budget: {error}") from error


def token_of(client: Client) -> str:
    """A token. Raises NotSentError where none can be had for now, CredentialsError."""
    try:
        return client.tokens.current()
    except PassingError as error:
        raise NotSentError(str(error), error.wait) from error
    except httpx.HTTPError as error:
        raise NotSentError(f"no token: {error or type(error).__name__}") from error


def sent(client: Client, method: str, url: str, permit: Permit, parts: dict[str, Any]) -> httpx.Response:
    """The answer to one request. Raises NotSentError or DoubtfulError."""
    headers = {"Authorization": f"Bearer {permit.token}", "ST-App-Key": client.tenant.app_key}
    try:
        with client.lines.one() as http:
            if permit.is_over:
                raise NotSentError("its time was over before it was sent: another runner may have taken it over")
            return http.request(method, url, **parts | {"headers": headers | parts.get("headers", {})})
    except NEVER_SENT as error:
        raise NotSentError(f"no connection to {url}: {error or type(error).__name__}") from error
    except httpx.HTTPError as error:
        raise DoubtfulError(f"no whole answer from {url}: {error or type(error).__name__}") from error


def judged(answer: httpx.Response) -> Written:
    """A good answer. Raises NotSentError, WriteRefusedError or DoubtfulError."""
    status = answer.status_code
    is_html = answer.headers.get("content-type", "").startswith("text/html")
    if answer.is_success and not is_html:
        return Written(status, answer.content)
    problem = problem_of(answer)
    reason = f"ServiceTitan answered {status}: {problem}"
    if status == TOO_MANY or is_maintenance(answer):
        raise NotSentError(reason, retry_after(answer.headers.get("retry-after", "")))
    if is_passing(status) or is_html or answer.is_redirect:
        raise DoubtfulError(reason, status)
    raise WriteRefusedError(reason, status, answer.text)
