"""The table of operations: what it holds, and how names lead to its rows."""

import re
from collections import Counter

import pytest

from outbound.exceptions import NotOfferedError, UnknownOperationError
from outbound.operations import (
    ACTION,
    ALIASED,
    ALIASES,
    BY_TITLE,
    CREATE,
    ENTITIES,
    NOT_OFFERED,
    OPERATIONS,
    REMOVE,
    UPDATE,
    find,
    names_of,
)


def test_every_operation_of_servicetitan_has_a_row():
    """258, of which 13 are gone from the documents since 2026-05."""
    assert len(OPERATIONS) == 258
    assert sum(not operation.is_withdrawn for operation in OPERATIONS) == 245


def test_titles_and_places_are_unique():
    """No two rows have one name, and no two send to one place."""
    assert [title for title, rows in Counter(each.title for each in OPERATIONS).items() if rows > 1] == []
    assert [place for place, rows in Counter(each.place for each in OPERATIONS).items() if rows > 1] == []


def test_every_row_knows_its_whole_path():
    """Module and version come from the catalog or stand in the row."""
    for operation in OPERATIONS:
        assert re.fullmatch(r"/[a-z-]+/v[1-9]/tenant/", operation.base), operation.title
        assert set(operation.beside) <= set(operation.placeholders), operation.title


def test_what_is_said_of_a_row_fits_what_it_does():
    """A create names no record, an update and a removal name one, only an action is seen by its outcome."""
    for operation in OPERATIONS:
        assert operation.kind is not CREATE or not operation.record, operation.title
        assert operation.kind not in {UPDATE, REMOVE} or operation.record, operation.title
        assert not operation.outcome or operation.kind is ACTION, operation.title


def test_a_create_is_never_harmless_twice():
    """Whatever makes something is not sent again on a doubt."""
    assert [each.title for each in OPERATIONS if each.kind is CREATE and each.is_harmless_twice] == []


@pytest.mark.parametrize("alias", ALIASES, ids=lambda alias: f"{alias.entity}:{alias.name}")
def test_every_alias_leads_to_an_operation(alias):
    """It hides no operation of its own name, and its record stands in the path or in the body."""
    title = f"{alias.entity}:{alias.name}"
    operation, found = find(alias.entity, alias.name)
    assert (operation.title, found) == (":".join(alias.means), alias)
    assert title not in BY_TITLE
    assert not (operation.record and alias.record_field)
    assert alias.name in names_of(alias.entity)


def test_names_are_unique_over_operations_aliases_and_refusals():
    """One name means one thing."""
    refused = [f"{each.entity}:{each.name}" for each in NOT_OFFERED]
    names = [*BY_TITLE, *(f"{each.entity}:{each.name}" for each in ALIASES), *refused]
    assert len(names) == len(set(names))
    assert len(ALIASED) == len(ALIASES)


@pytest.mark.parametrize("refusal", NOT_OFFERED, ids=lambda refusal: f"{refusal.entity}:{refusal.name}")
def test_what_servicetitan_does_not_offer_names_the_nearest(refusal):
    """With the reason; what it names exists."""
    with pytest.raises(NotOfferedError) as caught:
        find(refusal.entity, refusal.name)
    assert refusal.nearest
    assert {*refusal.nearest} <= BY_TITLE.keys()
    for text in (*refusal.nearest, refusal.why):
        assert text in str(caught.value)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.title)
def test_every_operation_is_found_by_its_names(operation):
    """Hyphens and underlines are one in both, and blanks around them do not count."""
    assert find(operation.entity, operation.name) == (operation, None)
    assert find(f" {operation.entity.replace('_', '-')} ", f" {operation.name.replace('-', '_')} ")[0] is operation
    assert operation.entity in ENTITIES


def test_an_unknown_entity_is_told_with_the_nearest():
    """The error has them for machines as well."""
    with pytest.raises(UnknownOperationError, match="Did you mean `customers`") as caught:
        find("custmers", "update")
    assert (caught.value.parameter, caught.value.nearest[0]) == ("entity_type", "customers")


def test_an_unknown_operation_is_told_with_the_nearest_of_its_entity():
    """Aliases are among the known ones."""
    with pytest.raises(UnknownOperationError, match="Did you mean `add-note`") as caught:
        find("jobs", "addnote")
    assert caught.value.parameter == "operation"
    assert {"cancel", "add-note"} <= {*caught.value.known}
