"""Who is signed in: a cookie with the id of a key, signed, so that nobody can make one; and what proves that a form is ours.

The key itself never stands in a browser. A session ends with its key, when somebody signs out, and after half a day; then
nothing opens it again, also no copy of its cookie.
"""

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from urllib.parse import urlsplit

from itsdangerous import BadData, URLSafeSerializer, URLSafeTimedSerializer

from store.operations import Operations

COOKIE = "lazi_session"
SECONDS = 12 * 3600
FRESH = 1.0  # seconds for which a session is believed to go on, in processes other than the one that ended it
MOST_KEPT = 10_000  # sessions
SECRET = "sessions"  # noqa: S105  the name of what is kept
SIGNED = {"digest_method": hashlib.sha256}


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody's stay: the id of the key that was entered, a number that no other stay has, and when it began."""

    key_id: str
    nonce: str
    begun_at: datetime

    @property
    def is_over(self) -> bool:
        """Whether it lasted as long as one may."""
        return datetime.now(UTC) - self.begun_at >= timedelta(seconds=SECONDS)


class Sessions:
    """Makes cookies and knows its own again, in every process of one store and after it was started anew."""

    def __init__(self, operations: Operations) -> None:
        """Nothing is read yet."""
        self.operations = operations
        self.known: dict[str, tuple[float, bool]] = {}

    @cached_property
    def secret(self) -> str:
        """What signs, made by whichever process needs it first."""
        self.operations.run("keep_secret", name=SECRET, value=secrets.token_urlsafe(32))
        [row] = self.operations.run("secret", name=SECRET)
        return str(row["value"])

    @cached_property
    def cookies(self) -> URLSafeTimedSerializer:
        """Of sessions."""
        return URLSafeTimedSerializer(self.secret, salt="session", signer_kwargs=SIGNED)

    @cached_property
    def forms(self) -> URLSafeSerializer:
        """Of what proves that a form is ours."""
        return URLSafeSerializer(self.secret, salt="form", signer_kwargs=SIGNED)

    def begun(self, key_id: str) -> str:
        """A cookie for a new session."""
        text: str = self.cookies.dumps([key_id, secrets.token_urlsafe(16)])
        return text

    def read(self, cookie: str) -> Session | None:
        """The session of a cookie; None for one that is too old or not ours."""
        try:
            (key_id, nonce), begun_at = self.cookies.loads(cookie, max_age=SECONDS, return_timestamp=True)
        except (BadData, ValueError, TypeError):
            return None
        return Session(str(key_id), str(nonce), begun_at)

    def end(self, session: Session) -> None:
        """Let no cookie open this one again."""
        now = datetime.now(UTC)
        self.operations.run("end_session", nonce=session.nonce, now=now)
        self.operations.run("forget_ended_sessions", before=now - timedelta(seconds=SECONDS))
        self.known[session.nonce] = (time.monotonic(), True)

    def has_ended(self, session: Session) -> bool:
        """Whether somebody ended it, as it is now or was a second ago."""
        read_at, ended = self.known.get(session.nonce, (-FRESH, False))
        if ended or time.monotonic() - read_at < FRESH:
            return ended
        ended = bool(self.operations.run("ended_session", nonce=session.nonce))
        if len(self.known) >= MOST_KEPT:
            self.known.clear()
        self.known[session.nonce] = (time.monotonic(), ended)
        return ended

    def token(self, session: Session) -> str:
        """What a form of this session shows."""
        text: str = self.forms.dumps(session.nonce)
        return text

    def knows(self, session: Session, token: str) -> bool:
        """Whether a form shows what this session's do."""
        return hmac.compare_digest(token.encode(errors="replace"), self.token(session).encode())


def is_from_here(headers: dict[str, str], host: str, scheme: str) -> bool:
    """Whether a browser says that a page of ours sends this; what is no browser says nothing, and has its token alone.

    A proxy that is not trusted hides that a browser sees https; a page that came by http may not send to https.
    """
    if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return False
    origin = headers.get("origin")
    if origin is None:
        return True
    named, _, netloc = origin.partition("://")
    return bool(host) and netloc == host and named in {scheme, "https"}


def local(address: str) -> str:
    """An address of this site; another one, and one that browsers may read as another, becomes the first page."""
    is_path = address.startswith("/") and not address.startswith(("//", "/\\"))
    is_plain = address.isascii() and address.isprintable() and len(address) <= LONGEST
    return address if is_path and is_plain else "/"


def path_of(address: str, host: str) -> str:
    """Path and query of an address that a browser names as the page that it shows; the first page's, where it is not ours."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return "/"
    if not host or parts.netloc != host:
        return "/"
    return local(parts.path + (f"?{parts.query}" if parts.query else ""))


LONGEST = 2000  # characters of an address
