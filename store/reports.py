"""The reports that a user configures as `[[sources.servicetitan.reports]]`, and how often one may run."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from store.exceptions import SettingsError

RUNS_A_SECOND = 1 / 60  # of the same report of a tenant, ServiceTitan's limit
DAY = re.compile(r"@today(?:([+-])(\d{1,4}))?")
EXAMPLE = '`category = "accounting"`, `id = 123`, `parameters = { From = "@today-30", To = "@today" }`'


@dataclass(frozen=True, slots=True)
class ConfiguredReport:
    """One report with the values of its parameters. `name` tells apart two uses of one report."""

    name: str
    category: str
    report_id: int
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def values(self, today: date) -> dict[str, Any]:
        """The parameters with `@today`, `@today-30` and the like as dates."""
        return {name: dated(value, today) for name, value in self.parameters.items()}


def dated(value: Any, today: date) -> Any:
    """A parameter's value; a moving date is set against today."""
    found = DAY.fullmatch(value) if isinstance(value, str) else None
    if not found:
        return value.isoformat() if isinstance(value, date) else value
    days = int(found[2] or 0) * (-1 if found[1] == "-" else 1)
    return (today + timedelta(days=days)).isoformat()


def configured(rows: Any) -> tuple[ConfiguredReport, ...]:
    """The reports of a table of settings. Raises SettingsError."""
    found = tuple(map(one, rows or ()))
    names = [report.name for report in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SettingsError(
            f"Two rows of `[[sources.servicetitan.reports]]` are called `{twice[0]}`. Give each a `name` of its own."
        )
    return found


def one(row: Mapping[str, Any]) -> ConfiguredReport:
    """One row. Raises SettingsError."""
    category, ident, parameters = row.get("category"), row.get("id"), row.get("parameters", {})
    if not (isinstance(category, str) and category and isinstance(ident, int) and isinstance(parameters, Mapping)):
        raise SettingsError(
            f"A row of `[[sources.servicetitan.reports]]` reads `{dict(row)}`. Each row needs a category, an id and, where "
            f"the report asks for them, parameters, for example: {EXAMPLE}. `master.reports` lists what there is."
        )
    return ConfiguredReport(str(row.get("name") or f"{category}/{ident}"), category, ident, parameters)
