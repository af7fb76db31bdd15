"""What tells whether a copy is exact finds each kind of difference, and takes for one only what is one."""

from collections.abc import Callable

import pytest

from sandbox.server import Sandbox
from sources.servicetitan.catalog import BY_NAME
from tests.exact import differences, heads

CAMPAIGNS = BY_NAME["campaigns"]


@pytest.mark.parametrize(
    ("changed", "text", "found"),
    [
        (lambda rows: rows, "", []),
        (lambda rows: rows[1:], "", [("campaigns", 1, 0)]),
        (lambda rows: [*rows, (1, "f" * 32, False)], "", [("campaigns", 0, 1)]),
        (lambda rows: [*rows[1:], (rows[0][0], "f" * 32, False)], "", [("campaigns", 1, 1)]),
        (lambda rows: [*rows[1:], (rows[0][0], "f" * 32, False)], "otherwise", [("campaigns", 1, 1)]),
        (lambda rows: [*rows[1:], (rows[0][0], "f" * 32, False)], "same", []),
    ],
    ids=["equal", "missing", "too many", "another", "another that a change made", "the same that a change made"],
)
def test_a_difference_is_found(changed: Callable[[list], list], text: str, found: list):
    """A record that is missing, too many or otherwise; the same content in other bytes is none, where a change made it."""
    with Sandbox(seed=5, customers=3) as sandbox:
        rows = changed([(key, hash_, False) for key, hash_ in heads(sandbox, CAMPAIGNS)])
        texts = {"same": sandbox.texts("campaigns")[0].decode(), "otherwise": '{"id":1}'}

        def fetch(query: str) -> list[tuple]:
            return rows if "master." in query else [(texts[text],)] if text else []

        assert list(differences(sandbox, fetch, [CAMPAIGNS])) == found
