"""Failures that may be gone at the next try. They never leave the client: it tries again, or says what they led to."""

import email.utils
from datetime import UTC, datetime

TOO_MANY, SERVER_ERROR = 429, 500


class PassingError(Exception):
    """A failure that may be gone at the next try. `wait` is what ServiceTitan asked for, in seconds."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


def is_passing(status: int) -> bool:
    """Whether an answer with this status is worth another try, whatever it says."""
    return status == TOO_MANY or status >= SERVER_ERROR


def retry_after(text: str) -> float:
    """The seconds that a `Retry-After` header asks for, as a number or a date; 0 without one."""
    if text.strip().isdigit():
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
