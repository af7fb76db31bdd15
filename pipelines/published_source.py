"""What a warehouse has to tell so that it can be published from: its tables as of one snapshot, and what is new in it."""

from abc import abstractmethod
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from pipelines.sides import Batches


class New(NamedTuple):
    """Which rows are new: written behind a snapshot, and not much older than a watermark in a column, if there is one."""

    snapshot: int
    column: str = ""
    watermark: datetime | None = None


class Source(Protocol):
    """A warehouse from which is published. For one thread."""

    @property
    @abstractmethod
    def identity(self) -> str:
        """A name that the warehouse keeps for life."""
        ...

    @abstractmethod
    def looking(self) -> AbstractContextManager[int]:
        """A time in which all is asked as of one snapshot, whose number it gives."""
        ...

    @abstractmethod
    def tables(self) -> dict[str, str]:
        """By name as consumers know it, the table that stands behind it."""
        ...

    @abstractmethod
    def changed(self, since: int) -> Collection[str] | None:
        """The tables that were written behind a snapshot, or more; None where nobody knows any longer."""
        ...

    @abstractmethod
    def count(self, table: str) -> int:
        """How many rows it has."""
        ...

    @abstractmethod
    def newest(self, table: str, column: str) -> Any:
        """The greatest value of a column."""
        ...

    @abstractmethod
    def rows(self, table: str, columns: Sequence[tuple[str, str]], new: New | None) -> Batches:
        """Its rows, or those that are new and maybe others; JSON as text."""
        ...

    @abstractmethod
    def close(self) -> None:
        """Let go of it."""
        ...
