"""Runs of reports: in the newer way as a query, inline or by a token to come back with, and in the older way in pages."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec

from sandbox import clock
from sandbox.demands import Query
from sandbox.filters import includes_total, number
from sandbox.problem import Problem, bad
from sandbox.sizes import PER_PARENT
from sandbox.stories.reporting import KINDS, SETS, kind_of
from sources.servicetitan.catalog import BY_NAME

if TYPE_CHECKING:
    from sandbox.tenant import Tenant

DEFINITIONS, CATEGORIES = BY_NAME["report_definitions"], BY_NAME["report_categories"]
REPORT_SHARE = PER_PARENT["reports"][1]
CONFIGURED = {"From": "@today-30", "To": "@today"}
USUAL_PAGE, LARGEST_PAGE = 1000, 25_000
LOOKS = 2
"""So many times a slow report is looked at before it is ready."""
Json = dict[str, Any]
Answered = tuple[int, bytes]
"""Status and body."""


@dataclass
class Waiting:
    """A report that is being made."""

    answer: Json
    looks: int = LOOKS


class ReportRuns:
    """Runs the reports of one tenant."""

    def __init__(self, tenant: "Tenant", seconds: Callable[[], float], interval: float, *, has_queries: bool) -> None:
        """A report runs once in `interval` by the clock `seconds`; `has_queries` tells whether the newer way exists."""
        self.tenant, self.seconds, self.interval, self.has_queries = tenant, seconds, interval, has_queries
        self.last: dict[int, float] = {}
        self.waiting: dict[str, Waiting] = {}
        self.numbers = count(1)

    def paged(self, values: Mapping[str, str], query: Query, body: bytes) -> Answered:
        """A page in the older way. Raises Problem."""
        page = max(number(query, "page", 1, 0), 1)
        size = min(number(query, "pageSize", USUAL_PAGE, 1), LARGEST_PAGE)
        report, parameters = self.asked(values, body)
        self.take(report)
        return 200, msgspec.json.encode(self.page(report, parameters, page, size, with_total=includes_total(query)))

    def queried(self, values: Mapping[str, str], _query: Query, body: bytes) -> Answered:
        """The whole report, or a token for one that is not ready. Raises Problem."""
        if not self.has_queries:
            raise Problem(404, "There is nothing at this address.")
        report, parameters = self.asked(values, body)
        self.take(report)
        answer = self.whole(report, parameters)
        if not kind_of(report).is_slow:
            return 200, msgspec.json.encode(answer)
        token = f"q{next(self.numbers)}-{report}"
        self.waiting[token] = Waiting(answer)
        return 202, msgspec.json.encode({"status": "NotStarted", "token": token})

    def look(self, token: str) -> Answered:
        """The report behind a token, once it is ready. Raises Problem."""
        found = self.known(token)
        found.looks -= 1
        if found.looks > 0:
            return 202, msgspec.json.encode({"status": "InProgress", "token": token})
        return 200, msgspec.json.encode(found.answer)

    def cancel(self, token: str) -> Answered:
        """Make a report no further. Raises Problem."""
        self.known(token)
        del self.waiting[token]
        return 204, b""

    def known(self, token: str) -> Waiting:
        """What waits behind a token. Raises Problem."""
        if token not in self.waiting or not self.has_queries:
            raise Problem(404, "There is no such query.")
        return self.waiting[token]

    def asked(self, values: Mapping[str, str], body: bytes) -> tuple[int, Json]:
        """The report by position, and the values of its parameters. Raises Problem."""
        report = self.tenant.family.parent(DEFINITIONS, {"^": values["category"], "id": values["report"]})
        try:
            sent = msgspec.json.decode(body, type=Json).get("parameters") or []
            given = {one["name"]: one["value"] for one in sent}
        except (msgspec.DecodeError, KeyError, TypeError) as error:
            raise bad("parameters", "The body must hold parameters with name and value.") from error
        check(report, given)
        return report, given

    def take(self, report: int) -> None:
        """Use up a report's turn. Raises Problem when it ran a short time ago."""
        left = self.last.get(report, -math.inf) + self.interval - self.seconds()
        if left > 0:
            raise Problem(429, "The report ran a short time ago.", retry_after=str(math.ceil(left)))
        self.last[report] = self.seconds()

    def page(self, report: int, parameters: Json, page: int, size: int, *, with_total: bool) -> Json:
        """A page as the documents describe it."""
        rows, start = kind_of(report).rows(self.tenant.business, parameters), (page - 1) * size
        return {
            "page": page,
            "pageSize": size,
            "hasMore": start + size < len(rows),
            "totalCount": len(rows) if with_total else None,
            "data": rows[start : start + size],
            "fields": [{"name": one["name"], "label": one["label"]} for one in kind_of(report).columns],
        }

    def whole(self, report: int, parameters: Json) -> Json:
        """A whole report as the newer way sends it: names begin with capital letters, against the documents."""
        rows = kind_of(report).rows(self.tenant.business, parameters)
        return {
            "Page": 1,
            "PageSize": len(rows),
            "HasMore": False,
            "TotalCount": len(rows),
            "TimeZone": "UTC",
            "Fields": [{"Name": one["name"], "Label": one["label"]} for one in kind_of(report).columns],
            "Data": rows,
        }

    def set_page(self, name: str, page: int, size: int, *, with_total: bool = False) -> Json:
        """A page of a dynamic set of values. Raises Problem for an unknown one."""
        if name not in SETS:
            raise Problem(404, f"There is no dynamic value set {name}.")
        business, entity = self.tenant.business, SETS[name]
        places, start = range(business.sizes[entity]), (page - 1) * size
        return {
            "page": page,
            "pageSize": size,
            "hasMore": start + size < len(places),
            "totalCount": len(places) if with_total else None,
            "data": [
                [business.ident(entity, place), business.called(entity, place)]
                for place in places[start : start + size]
            ],
            "fields": [{"name": "Id", "label": "Id"}, {"name": "Name", "label": "Name"}],
        }

    def rows(self) -> list[Json]:
        """Two reports as one configures them: an accounting one that is ready at once and one that is not."""
        shown = self.tenant.family.whole(DEFINITIONS)[: len(KINDS)]
        categories = [self.tenant.record(CATEGORIES, REPORT_SHARE.parent(place))["id"] for place in shown]
        idents = [self.tenant.business.ident("reports", place) for place in shown]
        return [
            {"category": category, "id": ident, "parameters": dict(CONFIGURED)}
            for category, ident in zip(categories, idents, strict=True)
        ]

    def configured(self) -> list[Json]:
        """What these reports answer today."""
        today = self.tenant.clock.now()
        parameters = {"From": clock.date(today - 30 * clock.DAY), "To": clock.date(today)}
        places = self.tenant.family.whole(DEFINITIONS)[: len(KINDS)]
        if self.has_queries:
            return [self.whole(place, parameters) for place in places]
        return [self.page(place, parameters, 1, LARGEST_PAGE, with_total=False) for place in places]

    def values(self, size: int) -> list[Json]:
        """All pages of the dynamic sets that definitions name, with their totals, as a reader asks for them."""
        lengths = {name: self.tenant.business.sizes[SETS[name]] for name in self.sets()}
        return [
            self.set_page(name, page + 1, size, with_total=True)
            for name, length in lengths.items()
            for page in range(-(-length // size))
        ]

    def sets(self) -> list[str]:
        """The dynamic sets that definitions name."""
        shown = self.tenant.family.whole(DEFINITIONS)
        accepted = [one["acceptValues"] for report in shown for one in kind_of(report).parameters]
        return list(dict.fromkeys(one["dynamicSetId"] for one in accepted if one and one["dynamicSetId"]))


def check(report: int, given: Json) -> None:
    """Raise the Problem of the first parameter that is missing or no date."""
    for one in kind_of(report).parameters:
        name = one["name"]
        if one["isRequired"] and given.get(name) in {None, ""}:
            raise bad(name, f"The parameter {name} is required.")
        if one["dataType"] == "Date" and name in given:
            try:
                clock.parse(str(given[name]))
            except ValueError as error:
                raise bad(name, str(error)) from error
