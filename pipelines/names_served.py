"""The names under which consumers find what is published: views in `master` and `crm`, all switched in one transaction.

A database that was a PostgreSQL warehouse has views of SQLMesh's under these names, and consumers that read them. They are
replaced in place, so that whatever stands on them stays, and come back when publishing is given up or the warehouse is PostgreSQL
again. What is neither SQLMesh's nor ours is left alone, and the name is refused.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg2
import psycopg2.errors

from pipelines.definitions import PLACE, Table, View
from store.exceptions import StoreUnfitError
from store.named_queries import Row
from store.serving import SCHEMA

if TYPE_CHECKING:
    from pipelines.publishing import Server

PATIENCE = 10  # seconds for those who read the names while they are switched
log = logging.getLogger(__name__)

HELD_BY = """SELECT c.relkind::TEXT AS kind, pg_get_viewdef(c.oid) AS definition, ARRAY(
  SELECT DISTINCT r.relnamespace::regnamespace::TEXT FROM pg_rewrite AS w
  INNER JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass
  INNER JOIN pg_class AS r ON r.oid = d.refobjid AND r.oid <> c.oid
  WHERE w.ev_class = c.oid
) AS reads
FROM pg_class AS c WHERE c.oid = to_regclass(%s)"""
"""What has a name, and the schemas that it reads if it is a view."""
STANDS_ON = """SELECT DISTINCT w.ev_class::regclass::TEXT AS name FROM pg_depend AS d
INNER JOIN pg_rewrite AS w ON w.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
WHERE d.refobjid = to_regclass(%s) AND w.ev_class <> d.refobjid ORDER BY 1"""


def placed(text: str, table: Table) -> str:
    """The statement of an index, on the table itself."""
    return text.replace(PLACE, table.place)


def lead(
    server: "Server", made: Sequence[Table | View], left: Mapping[str, str], note: Callable[[View], None]
) -> dict[str, str]:
    """Have names lead to these, and to nothing else of ours; what cannot be, with why. In one transaction.

    What is `left`, by name with why, leads where it led, and the API reads it from the warehouse. Raises StoreUnfitError
    where somebody who reads the names does not come to an end.
    """
    with server.turn():
        rows = {(row["name"], row["place"]): row for row in server.named("publications") if row["name"]}
        is_same = rows.keys() == {(one.name, one.place) for one in made} and all(
            rows[one.name, one.place]["is_shown"] and is_ours(server, one.name) for one in made
        )
        is_same = is_same and all(rows[one.name, ""]["definition"] == one.query for one in made if not one.place)
        for one in made:
            if isinstance(one, View):
                note(one)
        if is_same:
            return dict(left)
        server.run(f"SET LOCAL lock_timeout = '{PATIENCE}s'")
        try:
            return led(server, rows, made, left)
        except psycopg2.errors.LockNotAvailable as error:
            raise StoreUnfitError(
                f"The names of what is served could not be switched: somebody who reads them has not ended for {PATIENCE} s. "
                "Everything stays as it was, and the switch is tried again; a session that is `idle in transaction` in "
                "pg_stat_activity may be what it waits for."
            ) from error


def led(
    server: "Server", rows: dict[tuple[str, str], Row], made: Sequence[Table | View], left: Mapping[str, str]
) -> dict[str, str]:
    """The same, in a transaction that is open."""
    refused = dict(left)
    kept = {(one.name, one.place) for one in made} | {key for key in rows if key[0] in left}
    for one in made:
        if reason := taken(server, one):
            refused[one.name] = reason
            kept |= {key for key in rows if key[0] == one.name}
        else:
            server.named("show_publication", name=one.name, place=one.place)
    give_back_all(server, {name for name, _ in rows} - {name for name, _ in kept})
    for name, place in rows.keys() - kept:
        forgotten(server, name, place)
    now = datetime.now(UTC)
    for name, place in kept:
        if name in refused:
            server.named("refuse_publication", name=name, place=place, now=now, refusal=refused[name])
    return refused


def is_ours(server: "Server", name: str) -> bool:
    """Whether a name leads to what we publish."""
    found = server.asked(HELD_BY, (name,))
    return bool(found) and found[0]["kind"] == "v" and SCHEMA in found[0]["reads"]


def taken(server: "Server", one: Table | View) -> str:
    """Have a name lead there; why it cannot, if so."""
    found = server.asked(HELD_BY, (one.name,))
    schema = one.name.partition(".")[0]
    if found and not (found[0]["kind"] == "v" and {SCHEMA, f"{schema}_store"} & {*found[0]["reads"]}):
        return (
            f"PostgreSQL has something else under the name `{one.name}`, which is left alone. Rename or drop it, or leave the "
            "name out of `LAZI_SERVING`; until then the API reads the warehouse."
        )
    if found and SCHEMA not in found[0]["reads"]:
        server.named("keep_former_view", name=one.name, definition=found[0]["definition"])
    if not server.asked("SELECT to_regnamespace(%s) IS NOT NULL AS known", (schema,))[0]["known"]:
        server.run(f"CREATE SCHEMA {schema}")
    return replaced(server, one.name, one.query)


def replaced(server: "Server", name: str, query: str) -> str:
    """Make a view, in the place of the one that has its name; why it cannot be, if so."""
    server.run("SAVEPOINT view")
    try:
        server.run(f"CREATE OR REPLACE VIEW {name} AS {query}")
    except (psycopg2.errors.InvalidTableDefinition, psycopg2.errors.FeatureNotSupported):  # other columns
        server.run("ROLLBACK TO SAVEPOINT view")
    else:
        return ""
    try:
        server.run(f"DROP VIEW {name}")
        server.run(f"CREATE VIEW {name} AS {query}")
    except psycopg2.errors.DependentObjectsStillExist:
        server.run("ROLLBACK TO SAVEPOINT view")
        others = ", ".join(f"`{each}`" for each in readers(server, name))
        return (
            f"The columns of `{name}` are others now, and {others} reads the former ones. Drop that, run `lazi warehouse "
            "publish`, and make it anew."
        )
    return ""


def give_back_all(server: "Server", names: set[str]) -> None:
    """Have names lead to what they led to before they were ours."""
    for name in ordered(server, names):
        give_back(server, name)


def ordered(server: "Server", names: set[str]) -> Iterator[str]:
    """Names, each behind those of them that read it."""
    while names:
        ready = {name for name in names if not names & {*readers(server, name)}} or names
        yield from sorted(ready)
        names = names - ready


def readers(server: "Server", name: str) -> list[str]:
    """The views that read a name."""
    return [row["name"] for row in server.asked(STANDS_ON, (name,))]


def give_back(server: "Server", name: str) -> None:
    """Have a name lead to what it led to before it was ours, or to nothing. Raises StoreUnfitError where somebody reads it."""
    former = {row["name"]: row["definition"] for row in server.named("former_views")}.get(name)
    if not is_ours(server, name):
        server.named("forget_former_view", name=name)
        return
    server.run("SAVEPOINT former")
    try:
        if not former or replaced(server, name, former):
            dropped(server, name)
    except (psycopg2.errors.UndefinedTable, psycopg2.errors.InvalidSchemaName, psycopg2.errors.UndefinedColumn):
        server.run("ROLLBACK TO SAVEPOINT former")  # the former warehouse was dropped
        dropped(server, name)
    server.named("forget_former_view", name=name)


def dropped(server: "Server", name: str) -> None:
    """Drop a view of ours. Raises StoreUnfitError where somebody reads it."""
    if others := ", ".join(f"`{each}`" for each in readers(server, name)):
        raise StoreUnfitError(
            f"`{name}` is to be served no longer, but {others} reads it. Drop that, or name `{name}` in `LAZI_SERVING` again; "
            "then run `lazi warehouse publish`."
        )
    server.run(f"DROP VIEW {name}")


def put_back(server: "Server") -> None:
    """Have every name lead to the view that it led to before it was ours, where there was one.

    One that cannot be made again stays: the models, which come next, must not wait for who reads it.
    """
    for name in ordered(server, {row["name"] for row in server.named("former_views")}):
        try:
            with server.turn():
                give_back(server, name)
        except StoreUnfitError as error:
            log.warning("`%s` still shows what the lake had: %s", name, error)


def give_up(server: "Server") -> None:
    """Publish nothing any more: every name leads where it led before, and no rows are left."""
    with server.turn():
        rows = [row for row in server.named("publications") if row["name"]]
        give_back_all(server, {row["name"] for row in rows})
        for row in rows:
            forgotten(server, row["name"], row["place"])


def forgotten(server: "Server", name: str, place: str) -> None:
    """Forget what no name leads to any longer, with its rows; those that somebody still reads stay until he does not."""
    if place and readers(server, place):
        server.named("hide_publication", name=name, place=place)
        return
    server.named("forget_publication", name=name, place=place)
    if place:
        server.run(f"DROP TABLE IF EXISTS {place}")
