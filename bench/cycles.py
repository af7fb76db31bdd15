"""Whole cycles in a living process: nothing to do for all entities, and customers and jobs from nothing to master."""

from bench.landing import FEW, connection_to
from bench.measure import Cost, Gauge
from bench.result import Figures
from pipelines.modelling import Models
from pipelines.sync import Stores, land_all
from sources.servicetitan.catalog import CATALOG, select
from store.settings import Connection, connection, load

ROUNDS = 3
GROWN = ("customers", "jobs")


class Service:
    """What a living process keeps."""

    def __init__(self) -> None:
        """Open the stores."""
        self.settings = load()
        self.stores = Stores.open(self.settings)
        self.models = Models(self.settings)
        self.gauge = Gauge(self.settings.database_url)

    def land(self, servicetitan: Connection, *names: str) -> Cost:
        """The cost of landing what is new in these entities, or in all."""
        with self.gauge.measured() as cost:
            report = land_all(self.stores, servicetitan, select(names) if names else CATALOG)
        assert report.is_good, [outcome.error for outcome in report.failed]
        return cost

    def refresh(self, expected: str) -> Cost:
        """The cost of bringing the models up to date."""
        with self.gauge.measured() as cost:
            done = self.models.refresh(self.stores.operations)
        assert done == expected, done
        return cost

    def master(self, *names: str) -> Cost:
        """The cost of bringing the master models of these entities up to date."""
        with self.gauge.measured() as cost:
            self.models.evaluate(names, below=False)
        return cost

    def close(self) -> None:
        """Let go of everything."""
        self.models.close()
        self.stores.close()


def idle() -> Figures:
    """Cycles over all entities of the ServiceTitan that the environment names, after all of it is landed and modelled."""
    service, servicetitan = Service(), connection()
    service.land(servicetitan)
    service.refresh("planned")
    rounds = [(service.land(servicetitan), service.refresh("unchanged")) for _ in range(ROUNDS)]
    land, refresh = min(rounds, key=lambda costs: costs[0].both)
    service.close()
    return {
        "cpu_s": land.both + refresh.both,
        "land_s": land.both,
        "server_s": land.server,
        "wall_s": land.wall + refresh.wall,
    }


def first(url: str, records: int) -> Figures:
    """So many customers and jobs into raw, master, crm and audit, then a sync with nothing changed.

    Start-up stands apart: the process has landed and modelled ten of each.
    """
    service = Service()
    with service.gauge.measured() as start:
        service.refresh("planned")
        service.land(connection_to(url, FEW), *GROWN)
        service.refresh("refreshed")
    large = connection_to(url, records)
    land, master, rest = service.land(large, *GROWN), service.master(*GROWN), service.refresh("refreshed")
    again = [service.land(large, *GROWN), service.refresh("unchanged")]
    service.close()
    each = 1e6 / records / len(GROWN)
    both = land.both + master.both
    return {
        "both_us": both * each,
        "aim_us": both * each,
        "land_client_us": land.client * each,
        "land_server_us": land.server * each,
        "master_client_us": master.client * each,
        "master_server_us": master.server * each,
        "crm_audit_us": rest.both * each,
        "again_cpu_s": sum(cost.both for cost in again),
        "start_cpu_s": start.both,
    }
