"""Every block of every page is one that is known how to take: run, asked, or read; and few commands are not run."""

import ast
import json
import tomllib

import pytest

from tests.docs.fence import QUERY, RUN, STORES, WRITTEN, Fence, Page, pages

PAGES = [page for page in pages() if not page.is_generated]
FENCES = [fence for page in PAGES for fence in page.fences]
KINDS = {"empty", "synced", "clone"}
NOT_RUN = {
    "it asks the internet",
    "it needs a container engine",
    "tests/deploy/test_systemd.py runs it, in a machine of its own",
    "tests/deploy/test_dagster.py runs what it loads",
    "these are the whole test suite and its checks",
    "this is what runs the tests",
}
"""Why a block is not run: every reason that there is."""
MOST = 8  # blocks that are not run


def place_of(fence: Fence) -> str:
    return fence.place


@pytest.mark.parametrize("fence", FENCES, ids=place_of)
def test_every_block_is_of_a_known_kind(fence: Fence):
    """It says its language; only what is run has marks; those that need a value have one."""
    assert fence.language in {RUN, QUERY, *WRITTEN}, fence.language
    assert not fence.marks or fence.language in {RUN, QUERY}
    assert not [way for way, value in fence.marks if bool(value) == (way == "background")]
    assert all(store in STORES for store in fence.all("only"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_says_where_it_is_run(page: Page):
    """If it has something to run."""
    assert not page.is_run or page.folder in KINDS
    assert set(page.stores) <= {*STORES}


def test_few_blocks_are_not_run_and_each_says_why():
    """The reasons are those above, all of them."""
    left = [fence for fence in FENCES if fence.has("not run")]
    assert {fence.get("not run") for fence in left} == NOT_RUN
    assert len(left) <= MOST
    assert len([fence for fence in FENCES if fence.language == RUN]) > 2 * len(left)


@pytest.mark.parametrize(
    "fence", [fence for fence in FENCES if fence.language in {"json", "toml", "python"}], ids=place_of
)
def test_what_is_written_can_be_read(fence: Fence):
    """JSON, TOML and Python."""
    {"json": json.loads, "toml": tomllib.loads, "python": ast.parse}[fence.language](fence.text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_say_nothing_of_where_they_were_written(page: Page):
    """No path of somebody's machine, no address but documented ones, no unfinished sentence."""
    for word in ("/work/", "/root/", "TODO", "FIXME", "XXX", "localhost:80"):
        assert word not in page.text
