"""The bearer token: fetched once, shared by all threads, renewed before it ends. Never logged, never written."""

import threading
import time
from collections.abc import Callable

import httpx
import msgspec

from sources.servicetitan.exceptions import CredentialsError, UnreachableError
from sources.servicetitan.lines import Lines
from sources.servicetitan.passing import PassingError, is_passing, retry_after
from store.settings import Tenant

MARGIN = 60.0  # seconds before its end at which a token is renewed
REFUSALS = frozenset({400, 401, 403})


class Grant(msgspec.Struct):
    """The token endpoint's answer."""

    access_token: str
    expires_in: float = 900.0  # seconds; ServiceTitan's documented lifetime


class TokenRefusal(msgspec.Struct):
    """The token endpoint's error."""

    error: str = "no reason given"


class Tokens:
    """One tenant's token."""

    def __init__(
        self, auth_url: str, tenant: Tenant, lines: Lines, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Nothing is fetched before the first use."""
        self.auth_url, self.tenant, self.lines, self.clock = auth_url, tenant, lines, clock
        self.lock = threading.Lock()
        self.token, self.ends = "", 0.0

    def current(self) -> str:
        """A token that is good for at least `MARGIN` seconds, or for half its life when it lives shorter.

        Raises CredentialsError, UnreachableError, PassingError or httpx.TransportError.
        """
        with self.lock:
            if self.clock() >= self.ends:
                self.renew()
            return self.token

    def forget(self, token: str) -> None:
        """Renew at the next use, unless another thread has renewed it already."""
        with self.lock:
            if token == self.token:
                self.ends = 0.0

    def renew(self) -> None:
        """Fetch a new token; ServiceTitan takes the credentials form-encoded only."""
        form = {
            "grant_type": "client_credentials",
            "client_id": self.tenant.client_id,
            "client_secret": self.tenant.client_secret,
        }
        with self.lines.one() as http:
            answer = http.post(self.auth_url, data=form)
        if answer.status_code in REFUSALS:
            raise CredentialsError(
                f"ServiceTitan refused the credentials of tenant `{self.tenant.tenant_id}` at {self.auth_url} "
                f"({answer.status_code}, {refusal(answer.content)}). Check SERVICE_TITAN_CLIENT_ID and "
                "SERVICE_TITAN_CLIENT_SECRET: they belong to one application, one tenant and one environment "
                "(SERVICE_TITAN_ENV)."
            )
        if is_passing(answer.status_code):
            wait = retry_after(answer.headers.get("retry-after", ""))
            raise PassingError(f"status {answer.status_code} from {self.auth_url}", wait)
        try:
            grant = msgspec.json.decode(answer.raise_for_status().content, type=Grant)
        except (httpx.HTTPStatusError, msgspec.DecodeError):
            raise UnreachableError(
                f"{self.auth_url} answered {answer.status_code} without a token. Is SERVICE_TITAN_AUTH_URL the whole "
                "address of the token endpoint?"
            ) from None
        self.token = grant.access_token
        self.ends = self.clock() + grant.expires_in - min(MARGIN, grant.expires_in / 2)


def refusal(body: bytes) -> str:
    """The reason in a refusal, shortened; the answer never holds what was sent."""
    try:
        return msgspec.json.decode(body, type=TokenRefusal).error[:80]
    except msgspec.DecodeError:
        return "no reason given"
