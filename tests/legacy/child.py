"""A takeover in a process of its own, as a command would do it: what came of it, and its peak of memory."""

import json
import sys

from bench.measure import Gauge, peak_megabytes
from pipelines.legacy.importing import Wishes, take_over
from store.settings import load
from tests.legacy.original import TENANT


class Silent:
    """An observer that says nothing."""

    def begins(self, name: str, rows: int) -> None:
        pass

    def progresses(self, rows: int) -> None:
        pass

    def says(self, text: str) -> None:
        pass


def main() -> None:
    settings = load()
    with Gauge(settings.database_url).measured() as cost:
        report = take_over(settings, sys.argv[1], Wishes(tenant_id=TENANT, with_models=False), Silent())
    print(json.dumps({"report": report.as_dict(), "peak_mb": peak_megabytes(), "cpu": cost.client, "wall": cost.wall}))  # noqa: T201


if __name__ == "__main__":
    main()
