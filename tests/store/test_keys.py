"""API keys: made once, kept hashed, compared whole, closed for good."""

from collections.abc import Iterator

import pytest

from store import keys
from store.exceptions import StoreError
from store.operations import Operations, open_operations
from store.settings import Settings


@pytest.fixture
def operations(settings: Settings) -> Iterator[Operations]:
    opened = open_operations(settings)
    yield opened
    opened.close()


def made(operations: Operations, **more: object) -> str:
    return keys.create(operations, **{"name": "app", "scopes": ("read",), "tenant_id": 7, **more})


def test_a_key_opens_with_its_own_secret_alone(operations: Operations):
    """What is kept is not the secret; another key's does not open it."""
    key_id, secret = keys.parsed(made(operations))
    _, other = keys.parsed(made(operations))
    found = keys.find(operations, key_id)
    assert found.opens(secret)
    assert not found.opens(other)
    assert not found.opens("")
    assert secret not in repr(found)
    assert (found.tenant_id, found.scopes, found.last_used_at) == (7, frozenset({"read"}), None)


def test_a_revoked_key_opens_nothing(operations: Operations):
    """Revoking twice keeps the first moment; an unknown key names those that there are."""
    key_id, secret = keys.parsed(made(operations))
    first = keys.revoke(operations, key_id)
    assert not keys.find(operations, key_id).opens(secret)
    assert keys.revoke(operations, key_id).revoked_at == first.revoked_at
    with pytest.raises(StoreError, match=key_id):
        keys.revoke(operations, "nonsense")


@pytest.mark.parametrize(
    "wrong", [{"name": ""}, {"name": "x" * 101}, {"name": "a\nb"}, {"scopes": ()}, {"scopes": ("read", "write")}]
)
def test_a_wrong_name_or_scope_makes_no_key(operations: Operations, wrong: dict):
    """The error says what is allowed."""
    with pytest.raises(StoreError, match=r"1 to 100|read, mutate, admin"):
        made(operations, **wrong)
    assert keys.every(operations) == []


@pytest.mark.parametrize(
    "text", ["", "lazi", "lazi_abc_def", "lazi_abcdefgh_", "Lazi_abcdefgh_" + "x" * 43, "lazi_abcdefgh_" + "é" * 43]
)
def test_what_is_no_key_is_not_looked_up(text: str):
    """Only the exact form is."""
    assert keys.parsed(text) is None
