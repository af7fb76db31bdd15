"""What a model is in PostgreSQL when it is published there: a table with its types, key and indexes, or a view with its query.

SQLMesh tells both, from the very models and macros from which a PostgreSQL warehouse is built. It is asked only when the models'
text changed, and its answers are kept with the publications.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from store.serving import SCHEMA

PLACE = f'"{SCHEMA}"."_"'  # stands in texts of indexes for the table
MODELED_AT = "modeled_at"
SCHEMAS = ("master", "crm")


@dataclass(frozen=True, slots=True)
class Table:
    """A table: columns with types, what tells its rows apart, and the statements of its further indexes."""

    name: str
    columns: tuple[tuple[str, str], ...]
    key: tuple[str, ...]
    indexes: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Where its rows stand: another table as soon as anything of it is another."""
        text = json.dumps([self.columns, self.key, self.indexes])
        return f"{SCHEMA}.{self.name.replace('.', '_')}_{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    @property
    def query(self) -> str:
        """What the view of its name shows."""
        return f"SELECT {', '.join(quoted(name) for name, _ in self.columns)} FROM {self.place}"

    @property
    def watermark(self) -> str:
        """The column that tells when a row was written; in a model of another schema it may tell something else."""
        is_master = self.name.startswith("master.")
        return MODELED_AT if is_master and any(name == MODELED_AT for name, _ in self.columns) else ""


@dataclass(frozen=True, slots=True)
class View:
    """A view: its query, over tables in which rows stand."""

    name: str
    query: str

    @property
    def place(self) -> str:
        """No rows of its own."""
        return ""

    def reads(self, other: "Table | View") -> bool:
        """Whether its query names this table or view."""
        return re.search(rf"\b{other.place or other.name}\b", self.query.replace('"', "")) is not None


@dataclass(frozen=True, slots=True)
class Definitions:
    """What is published, each behind what it reads; and what cannot be, with why."""

    tables: tuple[Table, ...]
    views: tuple[View, ...]
    refused: dict[str, str]


def quoted(name: str) -> str:
    """A column's name in quotes."""
    return f'"{name}"'


def written(one: Table | View) -> str:
    """A definition as text."""
    return json.dumps(asdict(one)) if isinstance(one, Table) else one.query


def read(name: str, place: str, text: str) -> Table | View:
    """A definition that was written down."""
    if not place:
        return View(name, text)
    found = json.loads(text)
    return Table(name, tuple(map(tuple, found["columns"])), tuple(found["key"]), tuple(found["indexes"]))


def defined(context: Any, wanted: Iterable[str], connection: Any) -> Definitions:
    """What is to be published of a loaded project, and what that reads. PostgreSQL is asked for its extensions.

    What SQLMesh cannot write for PostgreSQL is refused, and everything else is published.
    """
    from sqlglot.errors import SqlglotError  # noqa: PLC0415  a costly import, made when it is needed
    from sqlmesh.utils.errors import SQLMeshError  # noqa: PLC0415  likewise

    models = {name_of(fqn): context.models[fqn] for fqn in context.dag.sorted if fqn in context.models}
    refused = {name: "the project has no such model" for name in wanted if name not in models}
    reached = closure(models, [name for name in wanted if name in models], refused)
    tables, views = list[Table](), list[View]()
    places: dict[str, str] = {}
    for name, model in models.items():
        if name not in reached or name in refused:
            continue
        if lacking := [each for each in reads(model) if each in refused] if is_view(model) else []:
            refused[name] = f"it reads `{lacking[0]}`: {refused[lacking[0]]}"
            continue
        try:
            made = View(name, query_of(model, places)) if is_view(model) else table_of(name, model, connection)
        except (SQLMeshError, SqlglotError) as error:
            refused[name] = f"SQLMesh cannot write it for PostgreSQL: {error}"
            continue
        if isinstance(made, View):
            views.append(made)
        else:
            tables.append(made)
        places[model.fqn] = made.place or name
    return Definitions(tuple(tables), tuple(views), refused)


def name_of(fqn: str) -> str:
    """A model's name as consumers know it."""
    from sqlglot import exp  # noqa: PLC0415  a costly import, made when it is needed

    table = exp.to_table(fqn, dialect="postgres")
    return f"{table.db}.{table.name}"


def reads(model: Any) -> list[str]:
    """The names of what a model reads."""
    return [name_of(fqn) for fqn in sorted(model.depends_on)]


def is_view(model: Any) -> bool:
    """Whether a model has no rows of its own."""
    return bool(model.kind.is_view)


def closure(models: dict[str, Any], wanted: Iterable[str], refused: dict[str, str]) -> set[str]:
    """These names and what views among them read; what cannot be published is put down with why."""
    reached, waiting = set[str](), list(wanted)
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        model = models.get(name)
        if reason := unfit(name, model):
            refused[name] = reason
        elif is_view(model):
            waiting += reads(model)
    return reached


def unfit(name: str, model: Any) -> str:
    """Why a model cannot be published, if so."""
    if model is None or name.partition(".")[0] not in SCHEMAS:
        return "only models of master and crm are published"
    if not is_view(model) and not model.kind.is_materialized:
        return f"a model of kind {model.kind.name} stands in no table"
    if not is_view(model) and not key_of(model):
        return "its model names neither a unique key nor a grain"
    return ""


def key_of(model: Any) -> tuple[str, ...]:
    """What tells a model's rows apart."""
    return tuple(column.name for column in model.unique_key or flat(model.grains))


def flat(grains: Iterable[Any]) -> list[Any]:
    """The columns of the first grain; SQLMesh hands over a grain of several columns one by one."""
    from sqlglot import exp  # noqa: PLC0415  a costly import, made when it is needed

    found = list(grains)
    return list(found[0].expressions) if found and isinstance(found[0], exp.Tuple) else found


def query_of(model: Any, places: dict[str, str]) -> str:
    """A view's query in PostgreSQL's words, over the tables in these places."""
    from sqlglot import exp  # noqa: PLC0415  a costly import, made when it is needed

    query = model.render_query_or_raise(table_mapping=places)
    for table in query.find_all(exp.Table):
        table.set("catalog", None)
    return str(query.sql(dialect="postgres", comments=False))


def table_of(name: str, model: Any, connection: Any) -> Table:
    """A table in PostgreSQL's words."""
    columns = tuple((column, kind.sql(dialect="postgres")) for column, kind in model.columns_to_types.items())
    key = key_of(model)
    own = f"CREATE INDEX ON {PLACE} USING BTREE({', '.join(map(quoted, key))})"  # the key has an index of its own
    return Table(name, columns, key, tuple(text for text in indexes_of(model, connection) if text != own))


def indexes_of(model: Any, connection: Any) -> list[str]:
    """The statements by which a model makes its indexes on PostgreSQL, as its macros write them."""
    from sqlglot import exp  # noqa: PLC0415  a costly import, made when it is needed
    from sqlmesh.core.engine_adapter.postgres import PostgresEngineAdapter  # noqa: PLC0415  likewise
    from sqlmesh.core.macros import RuntimeStage  # noqa: PLC0415  likewise

    class Knowing(PostgresEngineAdapter):
        """PostgreSQL, as it is when the model's table has just been made."""

        def columns(self, *_: Any, **__: Any) -> dict[str, Any]:
            """The columns that it is about to get."""
            return dict(model.columns_to_types)

    table = exp.to_table(name_of(model.fqn), dialect="postgres")
    statements = model.render_post_statements(
        engine_adapter=Knowing(lambda: connection, dialect="postgres"),  # type: ignore[abstract]
        runtime_stage=RuntimeStage.CREATING,
        this_model=exp.table_(table.name, db=f"{table.db}_store"),
    )
    made = [one for one in statements if isinstance(one, exp.Create) and one.kind == "INDEX"]
    for one in made:
        one.this.set("table", exp.table_("_", db=SCHEMA, quoted=True))
        for operators in one.find_all(exp.Table):  # an operator class looks like a table, and is none of the warehouse
            operators.set("catalog", None)
    return [str(one.sql(dialect="postgres", comments=False)) for one in made]
