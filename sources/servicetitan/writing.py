"""Requests that change something in ServiceTitan: sent once, and told apart by what may have become of them.

A failure says whether the change can have been made (`DoubtfulError`), was refused (`WriteRefusedError`) or never was sent
(`NotSentError`). Only what is certain not to have been done is tried again here: a token that ended.
"""

from dataclasses import dataclass
from typing import Any

import httpx

from sources.servicetitan.client import CONFLICT, TOKENS, UNAUTHORIZED, Client, Meter, problem_of
from sources.servicetitan.exceptions import CredentialsError, ServiceTitanError
from sources.servicetitan.passing import TOO_MANY, PassingError, is_passing, retry_after

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


def write(client: Client, method: str, path: str, meter: Meter, **parts: Any) -> Written:
    """Send a change once. `parts` are httpx's `json`, `content` or `files`.

    Raises NotSentError, WriteRefusedError, DoubtfulError or CredentialsError.
    """
    url = f"{client.connection.api_url}{path}"
    for _ in range(TOKENS):
        token = token_of(client)
        client.budget.take()
        meter.requests += 1
        headers = {"Authorization": f"Bearer {token}", "ST-App-Key": client.tenant.app_key}
        answer = sent(client, method, url, headers, parts)
        if answer.status_code != UNAUTHORIZED:
            client.admitted = True
            return judged(answer)
        client.tokens.forget(token)
    raise CredentialsError(
        f"{url} answered 401 to {TOKENS} tokens of tenant `{client.tenant.tenant_id}`. Check SERVICE_TITAN_APP_KEY, and that the "
        "application may write (scopes are given when it is connected)."
    )


def token_of(client: Client) -> str:
    """A token. Raises NotSentError where none can be had for now, CredentialsError."""
    try:
        return client.tokens.current()
    except PassingError as error:
        raise NotSentError(str(error), error.wait) from error
    except httpx.HTTPError as error:
        raise NotSentError(f"no token: {error or type(error).__name__}") from error


def sent(client: Client, method: str, url: str, headers: dict[str, str], parts: dict[str, Any]) -> httpx.Response:
    """The answer to one request. Raises NotSentError or DoubtfulError."""
    try:
        with client.lines.one() as http:
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
    maintenance = status == CONFLICT and "maintenance" in answer.text.lower()
    if status == TOO_MANY or maintenance:
        raise NotSentError(reason, retry_after(answer.headers.get("retry-after", "")))
    if is_passing(status) or is_html or answer.is_redirect:
        raise DoubtfulError(reason, status)
    raise WriteRefusedError(reason, status, answer.text)
