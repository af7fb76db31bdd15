"""What pages name: commands, settings, routes, tables and files, taken out of their text."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import dropwhile

from tests.docs.fence import FENCE, RUN, Page

SPAN = re.compile(r"(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`(?!`)")
SETTING = re.compile(r"\b(?:LAZI|SERVICE_TITAN|DATABASE|SOURCES_|DESTINATION_)_[A-Z_]*[A-Z]\b")
ROUTE = re.compile(r"(?<![\w.])(?:http://127\.0\.0\.1:3001)?(/api/[\w/{}$<>.-]*|/metrics\b)")
TABLE = re.compile(r"(?<![\w./-])(raw|master|crm|audit|system|outbound)\.([a-z_0-9]+)(?![\w(/.*<])")
ASSIGNED = re.compile(r"[A-Z_]+=")
FILE = re.compile(r"(?:[\w.-]+/)+[\w.*-]*")


@dataclass(frozen=True)
class Named:
    """A command as it is named: its words, and whether a reader types it rather than reads of it."""

    page: str
    words: tuple[str, ...]
    is_typed: bool


def commands(page: Page) -> Iterator[Named]:
    """Every `lazi` command of a page."""
    for fence in page.fences:
        if fence.language == RUN:
            yield from found(page.name, unfolded(fence.text), is_typed=True)
        elif page.is_generated:  # what a help text gives for examples
            for line in unfolded(fence.text).splitlines():
                if re.match(r" +lazi ", line):  # what stands behind it at some distance tells what it does
                    yield from found(page.name, re.split(r"(?<=\S)\s{2,}", line)[0], is_typed=True)
    for text in spans(page):
        if text.startswith(("lazi ", ".venv/bin/lazi ")):
            yield from found(page.name, text, is_typed=False)


def found(name: str, text: str, *, is_typed: bool) -> Iterator[Named]:
    """The commands in a text."""
    for line in text.splitlines():
        if "lazi" in line:
            for command in simple(line):
                words = list(dropwhile(ASSIGNED.match, command))
                if words and words[0].rpartition("/")[2] == "lazi" and (words[1:] or is_typed):
                    yield Named(name, tuple(words[1:]), is_typed)


def simple(line: str) -> Iterator[list[str]]:
    """The simple commands of a line, as words: those between pipes and the like, and those within `$(...)`."""
    lexer = shlex.shlex(re.sub(r"\s{2,}", " ", line.strip()), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for token in [*lexer, ";"]:
        if set(token) <= set("();<>|&"):
            yield words
            words = []
        else:
            words.append(token)
            if inner := re.search(r"\$\((.+)\)", token):
                yield from simple(inner[1])


def unfolded(text: str) -> str:
    """Lines that were broken with a backslash, whole."""
    return text.replace("\\\n", " ")


def spans(page: Page) -> list[str]:
    """Every piece of code within a page's sentences."""
    return [" ".join(text.split()) for text in SPAN.findall(FENCE.sub("", page.text))]


def code(page: Page) -> str:
    """All code of a page, within sentences and in blocks."""
    return "\n".join([*spans(page), *(fence.text for fence in page.fences)])


def settings(page: Page) -> set[str]:
    """Every setting."""
    return set(SETTING.findall(page.text))


def routes(page: Page) -> set[str]:
    """Every address of the API, without what stands for an id or a name."""
    return {match[1].rstrip(".") if "<" in match[1] else match[1].rstrip(".>") for match in ROUTE.finditer(page.text)}


def tables(page: Page) -> set[tuple[str, str]]:
    """Every table with its schema."""
    return set(TABLE.findall(code(page)))


def files(page: Page) -> set[str]:
    """What is named within sentences and looks like a file or a folder."""
    return {text for text in spans(page) if FILE.fullmatch(text)}
