"""What reads the pages for the tests finds every block and every mark, and takes nothing else for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.docs.fence import WAYS, Page, fences, marks

LINES = some.lists(some.text("ab$ |<>-\"'", max_size=12).filter(lambda line: not line.startswith("```")), max_size=6)
LANGUAGES = some.sampled_from(["", "sh", "sql", "json"])


@given(some.lists(some.tuples(LANGUAGES, LINES), max_size=5))
def test_blocks_come_back_as_they_were_written(blocks: list[tuple[str, list[str]]]):
    """Language, text and line of each, in order."""
    text, wanted = "# A page\n", []
    for language, lines in blocks:
        body = "".join(f"{line}\n" for line in lines)
        wanted.append((language, body, text.count("\n") + 2))
        text += f"\n```{language}\n{body}```\n"
    assert [(one.language, one.text, one.line) for one in fences("page.md", text)] == wanted


@given(some.lists(some.tuples(some.sampled_from(WAYS), some.text("abc.:/ ", min_size=1).map(str.strip)), max_size=4))
def test_marks_come_back_as_they_were_written(parts: list[tuple[str, str]]):
    """Each way with its value."""
    parts = [(way, value.lstrip(": ")) for way, value in parts]
    assert marks("; ".join(f"{way} {value}" for way, value in parts)) == tuple(parts)


def test_a_mark_belongs_to_the_block_right_behind_it():
    """And to no other one."""
    text = "<!-- test: background; until 'it is there' -->\n\n```sh\nlazi up\n```\n\n```sh\nlazi status\n```\n"
    first, second = fences("page.md", text)
    assert first.has("background")
    assert first.get("until") == "it is there"
    assert second.marks == ()


def test_a_block_within_a_list_loses_its_indent():
    """As a reader sees it; its mark is found there too."""
    fence = fences("page.md", "1. Do this:\n\n   <!-- test: exit 1 -->\n   ```sh\n   lazi up\n   ```\n")[0]
    assert (fence.text, fence.get("exit")) == ("lazi up\n", "1")


def test_a_word_that_is_no_mark_is_an_error():
    """Rather than a block that is run otherwise than meant."""
    with pytest.raises(ValueError, match="`bakground`"):
        marks("bakground")


def test_a_page_says_where_it_is_run():
    """The kind of folder and the stores."""
    page = Page("page.md", "<!-- test page: in=synced; stores=duckdb,postgres -->\n\n# A page\n")
    assert (page.folder, page.stores) == ("synced", ("duckdb", "postgres"))
    assert Page("page.md", "<!-- test page: in=empty -->\n").stores == ("duckdb",)
