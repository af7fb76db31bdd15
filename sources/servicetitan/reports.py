"""The data of the reports that a user configures, page by page as ServiceTitan sent them.

ServiceTitan runs the same report of a tenant once a minute. The newer way answers within ten seconds or with a token to
come back with; a tenant that lacks it is asked in the older way, where each page is a run of its own.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from sources.servicetitan.answer import whole
from sources.servicetitan.exceptions import NotFoundError, UnreachableError
from sources.servicetitan.filling import path
from sources.servicetitan.page import Page
from sources.servicetitan.paging import Reader
from store.reports import RUNS_A_SECOND, ConfiguredReport

PATIENCE, PAUSE = timedelta(minutes=10), 2.0  # for a report that is being made, and between two looks at it


class Sent(msgspec.Struct):
    """A page of a report, or the promise of one. The newer way begins names with a capital letter, against its documents."""

    more: bool = False
    token: str | None = None
    is_ready: bool = True


@dataclass(frozen=True, slots=True)
class ReportReader:
    """Reads a tenant's configured reports."""

    reader: Reader
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def pages(self) -> Iterator[Page]:
        """Every page of every report; a report's pages close what was read for it."""
        for report in self.reader.client.connection.reports:
            yield from self.reader.scoped(self.report(report), report.name)

    def report(self, report: ConfiguredReport) -> Iterator[Page]:
        """The pages of one report."""
        filling = {"category": report.category, "report": str(report.report_id)}
        where = path(self.reader.entity, filling)
        try:
            yield self.queried(report, where)
        except NotFoundError:
            yield from self.paged(report, where)

    def queried(self, report: ConfiguredReport, where: str) -> Page:
        """The whole report in the newer way. Raises UnreachableError when it is not made in time."""
        asked_at, until = self.now(), self.now() + PATIENCE
        body, sent = self.run(report, f"{where}/query", 1)
        while not sent.is_ready:
            token = f"data-queries/{sent.token}"
            if self.now() > until:
                self.ask("DELETE", token)
                raise UnreachableError(
                    f"Report `{report.name}` was not ready after {PATIENCE}. Narrow its parameters, or try again later."
                )
            self.sleep(PAUSE)
            body, sent = self.ask("GET", token)
        return page_of(body, asked_at)

    def paged(self, report: ConfiguredReport, where: str) -> Iterator[Page]:
        """The report's pages in the older way."""
        number, more = 1, True
        while more:
            asked_at = self.now()
            body, sent = self.run(report, where, number)
            yield page_of(body, asked_at)
            number, more = number + 1, sent.more

    def run(self, report: ConfiguredReport, where: str, number: int) -> tuple[bytes, Sent]:
        """One run of a report, when its minute has come."""
        self.reader.client.budget.apart(f"report {report.report_id}", RUNS_A_SECOND).take()
        params = {"page": str(number), "pageSize": str(self.reader.entity.page_size)}
        parameters = [{"name": name, "value": value} for name, value in report.values(self.now().date()).items()]
        return self.ask("POST", where, params=params, json={"parameters": parameters})

    def ask(self, method: str, where: str, **parts: Any) -> tuple[bytes, Sent]:
        """An answer's bytes and what they say of themselves."""
        reader = self.reader
        full_path = f"{reader.entity.base}{reader.client.tenant.tenant_id}/{where}"
        return reader.client.ask(method, full_path, lambda body: (body, sent_of(body)), reader.meter, **parts)


def sent_of(body: bytes) -> Sent:
    """What an answer says of itself. Raises msgspec.DecodeError."""
    if not body:
        return Sent()
    answer = {name.lower(): value for name, value in msgspec.json.decode(body, type=dict[str, Any]).items()}
    token = answer.get("token")
    return Sent(more=answer.get("hasmore") is True, token=token, is_ready="data" in answer or not token)


def page_of(body: bytes, asked_at: datetime) -> Page:
    """An answer as a page of one record."""
    envelope = whole(body)
    return Page(envelope.data or [], asked_at, is_repaired=envelope.is_repaired)
