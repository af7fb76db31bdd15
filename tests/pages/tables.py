"""Tables as small as a question needs them, on either engine."""

from typing import Any

from api.steps import Steps, through
from store.reader import Reader, open_reader
from store.settings import Settings
from store.warehouse import open_warehouse


class Tables:
    """A warehouse in which tables are made of what stands in them."""

    def __init__(self, settings: Settings) -> None:
        """An empty one."""
        self.warehouse: Any = open_warehouse(settings)
        self.reader: Reader = open_reader(settings, self.warehouse)

    def make(self, name: str, columns: str, rows: list[dict[str, Any]]) -> None:
        """A table; what a row does not name is null."""
        self.run(f"CREATE SCHEMA IF NOT EXISTS {name.partition('.')[0]}")
        self.run(f"CREATE TABLE {name} ({columns})")
        for row in rows:
            marks = ", ".join(["?"] * len(row))
            self.run(f"INSERT INTO {name} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))

    def run(self, statement: str, values: tuple[Any, ...] = ()) -> None:
        """A statement whose values are marked by `?`."""
        if self.warehouse.dialect == "duckdb":
            self.warehouse.cursor().execute(statement, list(values))
            return
        with self.warehouse.cursor() as cursor:
            cursor.execute(statement.replace("?", "%s"), values or None)

    def ask(self, steps: Steps[Any]) -> Any:
        """What steps come to."""
        return through(self.reader, steps)

    @property
    def dialect(self) -> str:
        """The engine's."""
        return self.reader.dialect

    def close(self) -> None:
        """Let go."""
        self.reader.close()
        self.warehouse.close()
