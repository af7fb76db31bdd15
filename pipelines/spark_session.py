"""Spark for SQLMesh: a session on the folder of the files.

As it comes it is a session of this machine. Where `SPARK_CONF_DIR` names a folder with a `spark-defaults.conf`, that one says
where the cluster is and how much it may take; every host of it must have the folder of the files under the same path.
"""

import logging
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from sqlmesh.core.config import GatewayConfig
from sqlmesh.core.config.connection import SparkConnectionConfig

from pipelines.sqlmesh_doors import postgres_connection, ready
from pipelines.swapping import finish
from store.exceptions import SettingsError, StoreUnfitError
from store.files import EMPTY, Shown, folder_of, noted_as
from store.raw import ENVELOPE
from store.settings import Settings

OLDEST_JAVA = 17
VERSION = re.compile(r'version "(\d+)')

ONE_MACHINE = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.shuffle.partitions": "4",
}
"""What a session has where nobody says how it is to be."""


def wanted(files: Path) -> dict[str, str]:
    """What every session has."""
    return {
        "spark.app.name": "lazi models",
        "spark.sql.warehouse.dir": str(files / "none"),  # every table has its place
        "spark.sql.catalogImplementation": "in-memory",  # what there is stands in the folder
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.sources.default": "parquet",
        "spark.sql.sources.partitionOverwriteMode": "dynamic",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",  # which every reader knows
        "spark.sql.hive.manageFilesourcePartitions": "false",  # partitions are the folders that are there
        "spark.sql.filesourceTableRelationCacheSize": "0",  # files come from elsewhere too
        "spark.sql.variant.allowDuplicateKeys": "true",  # as JSON of PostgreSQL does
    }


def spark_gateway(settings: Settings) -> GatewayConfig:
    """Spark, and PostgreSQL for SQLMesh's state. Raises StoreError where Spark cannot be had."""
    check_spark()
    check_java()
    return GatewayConfig(
        connection=FilesConnectionConfig(files=str(folder_of(settings)), register_comments=False),
        state_connection=postgres_connection(settings),
        state_schema="sqlmesh_state_spark",
    )


def check_spark() -> None:
    """See that Spark is installed, and that it would be one of ours. Raises StoreError."""
    if find_spec("pyspark") is None:
        raise StoreUnfitError(
            "PySpark, which builds the models, is not installed. Install it: `pip install 'st-lazi[spark]'`."
        )
    if remote := os.environ.get("SPARK_REMOTE"):
        raise SettingsError(
            f"`SPARK_REMOTE` is `{remote}`, but models need a session with settings of its own, which Spark Connect does not "
            "take. Leave it out, and name the cluster in a `spark-defaults.conf` of which `SPARK_CONF_DIR` names the folder."
        )


def check_java() -> None:
    """See that there is a Java that Spark runs on. Raises StoreUnfitError."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else shutil.which("java")
    if not java or not Path(java).exists():
        place = f"`JAVA_HOME` is `{home}`, and there is none" if home else "there is none on the path"
        raise StoreUnfitError(
            f"Spark needs Java {OLDEST_JAVA} or later, but {place}. Install a JDK, or set `JAVA_HOME`."
        )
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr  # noqa: S603  of the user's own
    found = VERSION.search(said)
    if not found or int(found[1]) < OLDEST_JAVA:
        which = f"version {found[1]}" if found else "of no known version"
        raise StoreUnfitError(
            f"Spark needs Java {OLDEST_JAVA} or later, but `{java}` is {which}. Set `JAVA_HOME` to another."
        )


class FilesConnectionConfig(SparkConnectionConfig):
    """A session on the folder of the files."""

    files: str

    @property
    def _engine_adapter(self) -> Any:
        from pipelines.spark_engine import SparkFilesEngineAdapter  # noqa: PLC0415  a costly import, made when it is needed

        return SparkFilesEngineAdapter

    @property
    def _static_connection_kwargs(self) -> dict[str, Any]:
        return {"files": self.files}

    @property
    def _connection_factory(self) -> Callable[..., Any]:
        return ready(open_session)

    @property
    def _extra_engine_config(self) -> dict[str, Any]:
        return {"wap_enabled": False, "files": self.files}

    def get_catalog(self) -> str:
        """The catalog that names without one belong to: Spark's own."""
        return "spark_catalog"


TURN = threading.Lock()


class Sessions:
    """The session of this process, and how many connections of SQLMesh's go through it."""

    spark: Any = None
    open = 0


def open_session(files: str, **_: Any) -> Any:
    """A connection of SQLMesh's to the session, which is begun with the first one and ends with the last."""
    from sqlmesh.engines.spark.db_api.spark_session import SparkSessionConnection  # noqa: PLC0415  PySpark may not be there

    class Counted(SparkSessionConnection):
        """Ends the session when it is the last one."""

        def close(self) -> None:
            with TURN:
                Sessions.open -= 1
                if not Sessions.open:
                    end(Sessions.spark)
                    Sessions.spark = None

    with TURN:
        if Sessions.spark is None:
            Sessions.spark = begin(Path(files))
        Sessions.open += 1
        return Counted(Sessions.spark)


def begin(files: Path) -> Any:
    """A session; what an earlier one left undone is finished first."""
    from pyspark.conf import SparkConf  # noqa: PLC0415  a costly import, made when it is needed
    from pyspark.sql import SparkSession  # noqa: PLC0415  a costly import, made when it is needed

    finish(files)
    logging.getLogger("SQLQueryContextLogger").disabled = True  # errors are raised too, and without pages of Java
    conf = SparkConf()
    for name, value in {**({} if os.environ.get("SPARK_CONF_DIR") else ONE_MACHINE), **wanted(files)}.items():
        conf.set(name, value)
    Told.names.clear()
    return SparkSession.builder.config(conf=conf).getOrCreate()


def end(spark: Any) -> None:
    """End a session and its Java."""
    from pyspark import SparkContext  # noqa: PLC0415  a costly import, made when it is needed

    spark.stop()
    gateway = SparkContext._gateway  # noqa: SLF001  no other way
    if gateway is not None:
        process = getattr(gateway, "proc", None)
        gateway.shutdown()
        SparkContext._gateway = SparkContext._jvm = None  # noqa: SLF001  so that the next one begins anew
        if process is not None:
            process.stdin.close()
            process.wait(timeout=60)


class Told:
    """Which tables and views the session of this process knows."""

    names: ClassVar[set[str]] = set()
    turn = threading.RLock()

    @classmethod
    def tell(cls, spark: Any, files: Path, schema: str, name: str, view: Callable[[Shown], str]) -> None:
        """Let the session know a table or view that is there; `view` gives the text of one, and tells what it asks for."""
        with cls.turn:
            if not schema or f"{schema}.{name}" in cls.names:
                return
            if schema == "raw":
                folder = files / "raw" / name
                is_there, kind = (folder / EMPTY).exists(), "table"
                made = f"({columns(folder)}) USING PARQUET LOCATION '{escaped(folder)}'" if is_there else ""
            else:
                found = noted_as(files, schema, name)
                kind = found.kind if found else ""
                made = "" if found is None else found.made if kind == "table" else f"AS {view(found)}"
            if not made:
                return
            spark.sql(f"CREATE SCHEMA IF NOT EXISTS `{schema}`")
            spark.sql(f"CREATE {kind.upper()} `{schema}`.`{name}` {made}")
            cls.names.add(f"{schema}.{name}")

    @classmethod
    def forget(cls, spark: Any, schema: str, name: str, kind: str) -> None:
        """Have the session forget one."""
        with cls.turn:
            if f"{schema}.{name}" in cls.names:
                spark.sql(f"DROP {kind.upper()} IF EXISTS `{schema}`.`{name}`")
                cls.names.discard(f"{schema}.{name}")


def escaped(place: Path) -> str:
    """A path within a text of Spark's."""
    return str(place).replace("'", "\\'")


def columns(folder: Path) -> str:
    """A raw table's columns with their types, as its files have them."""
    key = "STRING" if is_text(folder) else "BIGINT"
    types = {"": key, "JSONB": "STRING", "TEXT": "STRING", "TIMESTAMPTZ": "TIMESTAMP"}
    return ", ".join(f"`{name}` {types.get(kind, kind)}" for name, kind, _ in ENVELOPE)


def is_text(folder: Path) -> bool:
    """Whether the keys of a raw table are text."""
    import pyarrow.parquet as pq  # noqa: PLC0415  a costly import, made when it is needed
    import pyarrow.types  # noqa: PLC0415  a costly import, made when it is needed

    return bool(pyarrow.types.is_string(pq.read_schema(folder / EMPTY).field("st_id").type))
