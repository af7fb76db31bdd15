"""How pages look: templates, what they can say of moments, numbers and states, and the headers that keep them safe."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import xxhash
from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import MediaType, Request, Response
from markupsafe import Markup

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "same-origin",  # `no-referrer` would have browsers hide where a form comes from
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
STATIC = Path(str(files("api.pages"))) / "static"
HTMX = Path(str(files("django_htmx"))) / "static" / "django_htmx" / "htmx-2.min.js"
NOTHING = "\N{EN DASH}"
UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


class Look:
    """Makes pages of templates."""

    def __init__(self) -> None:
        """No template is read yet. Pages name their files with `mark`, which others would not have."""
        self.version = version("st-lazi")
        self.mark = xxhash.xxh3_64_hexdigest(b"".join(path.read_bytes() for path in (*sorted(STATIC.iterdir()), HTMX)))

    @cached_property
    def environment(self) -> Environment:
        """The templates. What is missing is an error, and everything is escaped."""
        made = Environment(
            loader=PackageLoader("api.pages"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        made.filters |= {
            "moment": moment,
            "ago": ago,
            "number": number,
            "money": money,
            "seconds": seconds,
            "words": words,
            "coded": coded,
        }
        made.globals |= {"version": self.version, "mark": self.mark}
        return made

    def text(self, template: str, **values: Any) -> str:
        """A template with these values."""
        return self.environment.get_template(template).render(**values)

    def page(self, request: Request[Any, Any, Any], template: str, status: int = 200, **values: Any) -> Response[str]:
        """A page, or a part of one for htmx, with the headers that keep it safe."""
        scope: Any = request.scope
        common = {
            "key": scope.get("auth"),
            "token": scope["state"].get("form_token", ""),
            "path": request.url.path,
            "now": datetime.now(UTC),
        }
        body = self.text(template, **common, **values)
        return Response(body, status_code=status, media_type=MediaType.HTML, headers=HEADERS)


def moment(value: datetime | str | None, empty: str = "never") -> Markup:
    """A moment: in UTC as it stands here, in the reader's zone where scripts run, and exact when one points at it."""
    if value is None:
        return Markup("<span class=none>{}</span>").format(empty)
    at = read(value)
    exact = at.strftime("%Y-%m-%d %H:%M:%S UTC")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        at.isoformat(), exact, at.strftime("%Y-%m-%d %H:%M")
    )


def ago(value: datetime | str | None, now: datetime | None = None, empty: str = "never") -> Markup:
    """How long ago a moment was; exact when one points at it.

    Without `now`, for what is sent again when it changes, it stands here as it is in UTC and pages say how long ago it is.
    """
    if value is None:
        return Markup("<span class=none>{}</span>").format(empty)
    at = read(value)
    exact = at.strftime("%Y-%m-%d %H:%M:%S UTC")
    text = at.strftime("%Y-%m-%d %H:%M") if now is None else since(at, now)
    return Markup('<time datetime="{}" title="{}" data-ago>{}</time>').format(at.isoformat(), exact, text)


def since(at: datetime, now: datetime) -> str:
    """How long ago that was, or will be."""
    passed = (now - at).total_seconds()
    return f"{seconds(passed)} ago" if passed >= 0 else f"in {seconds(-passed)}"


def read(value: datetime | str) -> datetime:
    """A moment in UTC; SQLite's RETURNING gives text."""
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def seconds(value: float | timedelta | None) -> str:
    """A length of time in its largest unit, with one digit behind the point where it is short."""
    if value is None:
        return NOTHING
    length = value.total_seconds() if isinstance(value, timedelta) else float(value)
    for size, unit in UNITS:
        if length >= size:
            whole = length / size
            return f"{whole:.1f} {unit}" if unit == "s" and whole < 10 else f"{whole:.0f} {unit}"  # noqa: PLR2004
    return f"{length * 1000:.0f} ms" if length else "0 s"


def number(value: float | Decimal | None) -> str:
    """A whole number with thin spaces between its thousands."""
    return NOTHING if value is None else f"{value:,.0f}".replace(",", "\u202f")


def money(value: float | Decimal | None) -> str:
    """An amount with its cents."""
    return NOTHING if value is None else f"{value:,.2f}".replace(",", "\u202f")


def words(name: str) -> str:
    """A name of ours as words: `open_estimates` is "open estimates"."""
    return name.replace("_", " ").replace("-", " ")


def coded(text: str) -> Markup:
    """A message with what stands in backticks as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # the last backtick closes nothing
        parts[-2:] = ["`".join(parts[-2:])]
    return Markup("").join(Markup("<code>{}</code>").format(part) if at % 2 else part for at, part in enumerate(parts))
