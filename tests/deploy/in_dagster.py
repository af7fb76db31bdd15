"""`deploy/dagster/definitions.py` as Dagster loads it, and a folder with tenants of a sandbox."""

import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sandbox.server import Sandbox
from sources.servicetitan.catalog import BY_NAME
from store.settings import Settings
from store.warehouse import open_warehouse
from tests.environment import store_environment
from tests.exact import compared, heads

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "dagster" / "definitions.py"
ROW = '[[sources.servicetitan.tenants]]\ntenant_id = {}\nclient_id = "{}"\nclient_secret = "{}"\napp_key = "{}"\n'


@contextmanager
def loaded() -> Iterator[ModuleType]:
    """The file as Dagster loads it: by its path, with the settings as they are now."""
    spec = importlib.util.spec_from_file_location("deployed_to_dagster", FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        yield module


def environment(sandbox: Sandbox, settings: Settings) -> dict[str, str]:
    """What names a sandbox and a store, but no tenant."""
    named = {name: value for name, value in sandbox.environment().items() if "TENANT" not in name}
    return named | store_environment(settings) | {"SERVICE_TITAN_RATE": "1000"}


@contextmanager
def settled(sandbox: Sandbox, settings: Settings, folder: Path, wrong: Sequence[int] = ()) -> Iterator[None]:
    """Stand in a folder whose settings name every tenant of a sandbox; the secrets of some are wrong."""
    (folder / ".dlt").mkdir()
    rows = [
        ROW.format(one, sandbox.client_id, "wrong" if one in wrong else sandbox.client_secret, sandbox.app_key)
        for one in sandbox.tenant_ids
    ]
    (folder / ".dlt" / "secrets.toml").write_text("".join(rows), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(sandbox, settings).items():
            patch.setenv(name, value)
        patch.chdir(folder)
        yield


def wanted(sandbox: Sandbox, tenant: int, name: str) -> Any:
    """Keys and hashes of a tenant's records."""
    return compared(BY_NAME[name], heads(sandbox, BY_NAME[name], tenant))


def landed(settings: Settings, tenant: int, name: str) -> Any:
    """Keys and hashes of what landed of a tenant, each once."""
    warehouse = open_warehouse(settings)
    try:
        rows = warehouse.fetch(
            f"SELECT st_id, payload_hash FROM raw.{BY_NAME[name].raw_table} WHERE tenant_id = {tenant}"
        )
    finally:
        warehouse.close()
    assert len({key for key, _ in rows}) == len(rows)
    return compared(BY_NAME[name], rows)


def of_this_process() -> dict[str, str]:
    """The environment, with this checkout to import from."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}
