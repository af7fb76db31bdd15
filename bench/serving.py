"""The API's answers from a lake and from what is published of it, in one run; and what a publication costs."""

import os
import random
from dataclasses import replace

from bench import api
from bench.history import add, add_jobs
from bench.measure import Gauge, postmaster
from bench.models import DAYS
from bench.result import Figures
from pipelines.modelling import Models, evaluate_models, publish_now
from pipelines.sync import Stores
from store import keys as api_keys
from store.setting import SERVING
from store.settings import Settings
from store.settings import load as load_settings

CHANGES = 1000
ASKED = ("detail", "customer", "list", "crm")


def paths(count: int) -> dict[str, list[str]]:
    """What is asked for, by case."""
    chance = random.Random(5)  # noqa: S311  not for cryptography
    some = [chance.randrange(1, count) for _ in range(5000)]
    known = api.load_paths(count)
    crm = [f"/api/v1/crm/customers?sort=name&limit=50&offset={key % 1000}" for key in some]
    return {name: known[name] for name in ("detail", "customer", "list")} | {"crm": crm}


def load(keys: int) -> Figures:
    """So many customers and jobs: each case from the lake and from PostgreSQL, then a publication of a thousand changes."""
    settings = load_settings()  # which publishes nothing by itself
    stores, models = Stores.open(settings), Models(settings)
    models.refresh(stores.operations)
    add(stores, keys=keys, version="v0", hours_ago=DAYS)
    add_jobs(stores, keys)
    modelled(models)
    os.environ |= {"LAZI_API_PER_MINUTE": "0", "LAZI_API_PER_HOUR": "0"}
    key = api_keys.create(stores.operations, name="bench", scopes=("read",), tenant_id=1)
    serving, gauge = replace(settings, serving=SERVING.default), Gauge(settings.database_url)
    found = answered(settings, key, keys, "lake")
    found |= costs(gauge, serving, "first")
    found |= answered(settings, key, keys, "served")
    for case in ASKED:
        for name in ("p50_ms", "cpu_ms"):
            found[f"{case}_served_{name}_times_less"] = found[f"{case}_lake_{name}"] / found[f"{case}_served_{name}"]
    add(stores, keys=keys, version="v1", hours_ago=0, step=keys // CHANGES)
    modelled(models)
    found |= costs(gauge, serving, "changes")
    found |= costs(gauge, serving, "nothing")
    models.close()
    stores.close()
    return found


def modelled(models: Models) -> None:
    """Bring customers, jobs and customers' facts up to date."""
    models.evaluate(["customers", "jobs"], below=False)
    facts = models.context.get_model("crm.customer_facts", raise_if_missing=True).fqn
    evaluate_models(models.planned(models.context), [facts])


def answered(settings: Settings, key: str, count: int, way: str) -> Figures:
    """Each case asked of the API, which finds out by itself from where."""
    port, server = api.free_port(), postmaster(settings.database_url)
    found: Figures = {}
    with api.served(port) as pid:
        for case, asked in paths(count).items():
            figures = api.load_case(port, key, asked, pid, server)
            found |= {f"{case}_{way}_p50_ms": figures["p50_ms"], f"{case}_{way}_p99_ms": figures["p99_ms"]}
            found[f"{case}_{way}_cpu_ms"] = 1000 / figures["per_cpu_s_with_server"]
    return found


def costs(gauge: Gauge, settings: Settings, case: str) -> Figures:
    """What a publication costs, with the models' project in hand or without."""
    with gauge.measured() as cost:
        done = publish_now(settings)
    return {
        f"{case}_rows": float(sum(done.changed.values())),
        f"{case}_cpu_s": cost.both,
        f"{case}_server_cpu_s": cost.server,
        f"{case}_wall_s": cost.wall,
    }
