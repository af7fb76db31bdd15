"""A question that costs much is asked seldom."""

from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest

from alarms.seldom import LONGEST, Seldom
from store.exceptions import StoreUnreachableError
from store.operations import Operations, open_operations
from store.settings import Settings


class Warehouse:
    """Answers with one of these after the other; an exception among them is raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    def fetch(self, _: str) -> list[tuple[Any, ...]]:
        """The next one."""
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return [(1, answer)]


def ran(operations: Operations, name: str) -> None:
    """The models ran."""
    at = datetime.now(UTC)
    operations.run("start_model_run", model_run_id=name, started_at=at, fingerprint="x")
    operations.run("finish_model_run", model_run_id=name, finished_at=at, status="completed", error=None)


def settled(seldom: Seldom) -> int:
    """What it says when its thread is through."""
    with seldom.turn:
        pass
    [(_, number)] = seldom("q")
    return int(number)


def test_what_costs_much_is_asked_again_only_when_models_ran(settings: Settings):
    """Or after a while; by a thread of its own, while others get what was known."""
    with closing(open_operations(settings)) as operations:
        seldom = Seldom(Warehouse(5, 6, 7).fetch, operations)
        assert [seldom("q") for _ in range(3)] == [[(1, 5)]] * 3
        ran(operations, "one")
        assert seldom("q") == [(1, 5)]
        assert [settled(seldom) for _ in range(3)] == [6] * 3
        seldom.asked_at -= LONGEST + 1
        assert seldom("q") == [(1, 6)]
        assert settled(seldom) == 7


def test_an_answer_that_cannot_be_had_is_forgotten(settings: Settings):
    """Who asks next is told why there is none, or has a new one."""
    with closing(open_operations(settings)) as operations:
        away = StoreUnreachableError("away")
        seldom = Seldom(Warehouse(away, 5, away, away, 8).fetch, operations)
        with pytest.raises(StoreUnreachableError):
            seldom("q")
        assert settled(seldom) == 5
        ran(operations, "one")
        assert seldom("q") == [(1, 5)]
        with pytest.raises(StoreUnreachableError):
            settled(seldom)
        assert settled(seldom) == 8
