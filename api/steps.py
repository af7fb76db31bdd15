"""Answers as steps: a generator hands out its questions to the warehouse and is given their rows.

So an answer is written once, and runs on the event loop where the engine can be asked from it, in a thread where not.
"""

from collections.abc import Generator
from typing import TypeVar

from api.work import Work
from store.looped import Question
from store.reader import Reader
from store.reading import Row

T = TypeVar("T")
Steps = Generator[Question, list[Row], T]


def through(reader: Reader, steps: Steps[T]) -> T:
    """What the steps come to, in this thread. Raises what they and the reader raise."""
    try:
        question = next(steps)
        while True:
            question = steps.send(reader.fetch(question.text, question.values))
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    finally:
        steps.close()


class Asker:
    """Goes through steps for the event loop."""

    def __init__(self, reader: Reader, work: Work) -> None:
        """Of which warehouse, and in which threads where it needs one."""
        self.reader, self.work = reader, work

    async def ask(self, steps: Steps[T]) -> T:
        """What the steps come to. Raises what they and the reader raise."""
        looped = self.reader.looped
        if looped is None:
            return await self.work.do(through, self.reader, steps)
        try:
            question = next(steps)
            while True:
                question = steps.send(await looped.fetch(question))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        finally:
            steps.close()
