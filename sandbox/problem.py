"""Refusals, as ServiceTitan words them: RFC 7807 with a trace id, errors by field and data."""

from typing import Any
from uuid import uuid4


class Problem(Exception):  # noqa: N818  ServiceTitan's word
    """A request is refused with an HTTP status."""

    def __init__(
        self, status: int, title: str, errors: dict[str, list[str]] | None = None, retry_after: str = ""
    ) -> None:
        """`errors` lists messages by query parameter; `retry_after` is seconds or a date, empty for none."""
        super().__init__(title)
        self.status, self.title, self.errors, self.retry_after = status, title, errors or {}, retry_after

    def body(self) -> dict[str, Any]:
        """The problem's document."""
        return {
            "type": f"https://httpstatuses.io/{self.status}",
            "title": self.title,
            "status": self.status,
            "traceId": uuid4().hex,
            "errors": self.errors,
            "data": {},
        }


def bad(name: str, message: str) -> Problem:
    """A refusal of one query parameter."""
    return Problem(400, "One or more validation errors occurred.", {name: [message]})
