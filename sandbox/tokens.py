"""The token endpoint's side of OAuth: client credentials for tokens that expire."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from secrets import token_urlsafe
from typing import Any
from urllib.parse import parse_qs

SCOPES = "tn.crm.customers:r tn.jpm.jobs:r tn.sal.estimates:r tn.acc.invoices:r tn.pb.services:r"
FORM = "application/x-www-form-urlencoded"
GRANT = "client_credentials"
MOST = 10_000
"""So many tokens are remembered."""


def part(document: dict[str, Any]) -> str:
    """One part of a JSON web token."""
    return urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


class Tokens:
    """Issues tokens and knows which are alive."""

    def __init__(self, client_id: str, client_secret: str, lifetime: float, clock: Callable[[], float]) -> None:
        """`lifetime` is in seconds; `clock` gives seconds and never goes back."""
        self.client_id, self.client_secret, self.lifetime, self.clock = client_id, client_secret, lifetime, clock
        self.alive: dict[str, float] = {}
        self.issued = 0

    def grant(self, content_type: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Status and document of the answer to a token request."""
        if content_type.partition(";")[0].strip().lower() != FORM:
            return 400, {"error": "invalid_request"}
        form = {name: found[0] for name, found in parse_qs(body.decode("utf-8", "replace")).items()}
        if form.get("grant_type") != GRANT:
            return 400, {"error": "unsupported_grant_type"}
        if (form.get("client_id"), form.get("client_secret")) != (self.client_id, self.client_secret):
            return 400, {"error": "invalid_client"}
        return 200, {
            "access_token": self.issue(),
            "expires_in": int(self.lifetime),
            "token_type": "Bearer",
            "scope": SCOPES,
        }

    def issue(self) -> str:
        """A new token, which carries its scopes as a list."""
        claims = {"client_id": self.client_id, "scope": SCOPES.split(), "jti": token_urlsafe(8)}
        token = f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}.{token_urlsafe(16)}"
        while len(self.alive) >= MOST:
            del self.alive[next(iter(self.alive))]
        self.alive[token] = self.clock() + self.lifetime
        self.issued += 1
        return token

    def accepts(self, authorization: str) -> bool:
        """Whether a header carries a living token, with or without the word Bearer."""
        kind, _, token = authorization.rpartition(" ")
        return kind.lower() in {"", "bearer"} and self.alive.get(token, 0.0) > self.clock()

    def revoke(self, authorization: str) -> None:
        """End the token in a header."""
        self.alive.pop(authorization.rpartition(" ")[2], None)

    def expire(self) -> None:
        """End all tokens at once."""
        self.alive.clear()
