"""The original's changes: what waits is held, what failed stays failed, once, and nothing is sent."""

from datetime import UTC, datetime

import pytest

from outbound.policy import check_approver
from outbound.queue import Mutation, Queue
from outbound.state import State
from pipelines.legacy.mutations import OVER, STATES
from sources.servicetitan.head import content_hash
from tests.legacy.conftest import Takeover

CREATED = "2024-03-01 12:00:00+00"


@pytest.fixture(autouse=True)
def _a_copy(takeover: Takeover) -> None:
    """A customer with two versions, the second of them behind the changes."""
    takeover.original.table("customers", "JSON")
    for name, day in (("before", "2024-02-01"), ("behind", "2024-04-01")):
        takeover.original.add("customers", 5, {"id": 5, "name": name}, day)


def queued(takeover: Takeover) -> list[Mutation]:
    """All that is queued here, the oldest first."""
    with takeover.opened() as stores:
        return sorted(Queue(stores.operations).some(), key=lambda one: one.mutation_id)


def test_a_pending_change_is_held_with_its_body_and_the_base_of_its_time(takeover: Takeover) -> None:
    """It is what was asked for, its base is the record as it was known then, and somebody else may approve it."""
    made = takeover.original.mutation(
        "customers", "update", 5, {"name": "wanted"}, "pending", created_at=CREATED, initiated_by="ann", attempts=2
    )
    report = takeover.run().mutations
    [one] = queued(takeover)
    assert (report.held, report.new, report.by_status) == (1, 1, {"pending": 1})
    assert (one.state, one.title, one.record_id, one.payload) == (
        State.HELD,
        "customers:update",
        "5",
        {"name": "wanted"},
    )
    assert (one.idempotency_key, one.initiated_by, one.tenant_id, one.attempts) == (f"legacy:{made}", "ann", 7, 2)
    assert (one.base, one.base_hash) == ({"id": 5, "name": "before"}, content_hash(b'{"id":5,"name":"before"}'))
    assert one.created_at == datetime(2024, 3, 1, 12, tzinfo=UTC)
    assert [step.did for step in one.history] == ["queued", "taken over"]
    check_approver(one, key_id="boss", name="bob")


def test_nothing_is_due_before_somebody_approves_it(takeover: Takeover) -> None:
    """Runners find nothing to do behind a takeover; approved, a change is theirs, and rejected, it is over."""
    takeover.original.mutation("customers", "update", 5, {"name": "a"}, "pending", created_at=CREATED)
    takeover.original.mutation("customers", "update", 6, {"name": "b"}, "queued", created_at=CREATED)
    takeover.original.mutation("customers", "update", 7, {"name": "c"}, "failed", error="no", created_at=CREATED)
    takeover.run()
    with takeover.opened() as stores:
        queue = Queue(stores.operations)
        assert queue.claim("runner", 10) == []
        first, second = (
            one for one in sorted(queue.some(), key=lambda each: each.mutation_id) if one.state is State.HELD
        )
        queue.decide(first, "approve", "bob", approved_by="bob")
        queue.decide(second, "reject", "bob")
        assert [one.mutation_id for one in queue.claim("runner", 10)] == [first.mutation_id]


def test_failed_ones_stay_failed_with_their_error(takeover: Takeover) -> None:
    """What ServiceTitan said then is said here; only a person tries it again."""
    takeover.original.mutation("customers", "update", 5, {"name": "x"}, "failed", error="400: no", created_at=CREATED)
    takeover.run()
    [one] = queued(takeover)
    assert (one.state, one.error) == (State.FAILED, "400: no")
    assert one.finished_at is not None


def test_what_was_being_sent_is_in_doubt(takeover: Takeover) -> None:
    """It may have been done: it is `unknown`, until a person has looked."""
    takeover.original.mutation(
        "customers", "update", 5, {"name": "x"}, "processing", created_at=CREATED, updated_at=CREATED
    )
    report = takeover.run().mutations
    [one] = queued(takeover)
    assert (report.unknown, one.state, one.was_sent) == (1, State.UNKNOWN, datetime(2024, 3, 1, 12, tzinfo=UTC))


def test_what_is_over_is_only_counted(takeover: Takeover) -> None:
    """Completed and cancelled changes are counted by their status."""
    for status in ("completed", "completed", "cancelled"):
        takeover.original.mutation("customers", "update", 5, {"name": "x"}, status)
    report = takeover.run().mutations
    assert report.by_status == {"completed": 2, "cancelled": 1}
    assert queued(takeover) == []


def test_another_run_queues_nothing_twice(takeover: Takeover) -> None:
    """The key made of the id there finds a change again, also when it was decided here meanwhile."""
    for record in (5, 6):
        takeover.original.mutation("customers", "update", record, {"name": "x"}, "pending", created_at=CREATED)
    takeover.run()
    with takeover.opened() as stores:
        queue = Queue(stores.operations)
        queue.decide(queue.some()[0], "reject", "bob")
    again = takeover.run().mutations
    assert (again.held, again.new) == (2, 0)
    assert len(queued(takeover)) == 2


MEANT = [
    ("customers", "add-note", 5, {"text": "hello"}, "customer_notes:create-note"),
    ("jobs", "cancel", 5, {"reasonId": 1, "memo": "x"}, "jobs:cancel"),
    ("estimates", "approve", 5, {"soldBy": 1}, "estimates:sell"),
    ("appointments", "assign", 5, {"technicianIds": [1]}, "appointment_assignments:assign-technicians"),
    ("invoices", "update", 5, {"summary": "x"}, "invoices:update-invoice"),
    ("tag-types", "create", 99, {"name": "x", "color": "red"}, "tag_types:create"),
]
UNFIT = [
    ("customers", "update", 5, {"nmae": "x"}, "nmae"),
    ("customers", "update", None, {"name": "x"}, "`entity_id` must name it"),
    ("estimates", "convert-to-invoice", 5, {}, "ServiceTitan has no operation"),
    ("unicorns", "update", 5, {}, "`unicorns`"),
    ("", "", 5, {}, "no entity or no operation"),
    ("customers", "update", 5, "text", "The payload"),
]


def test_the_originals_names_mean_our_operations(takeover: Takeover) -> None:
    """As over the API; a create may name a record that it has nothing to do with."""
    for entity, operation, record, payload, _ in MEANT:
        takeover.original.mutation(entity, operation, record, payload, "pending", created_at=CREATED)
    assert takeover.run().mutations.refused == {}
    assert sorted(one.title for one in queued(takeover)) == sorted(title for *_, title in MEANT)


def test_what_cannot_be_asked_for_is_told_with_its_reason(takeover: Takeover) -> None:
    """It is not queued; its id and the reason stand in the report, and also in that of a dry run."""
    made = [takeover.original.mutation(*unfit, "pending", created_at=CREATED) for *unfit, _ in UNFIT]
    takeover.original.mutation("customers", "update", 5, {"name": "good"}, "pending", created_at=CREATED)
    for report in (takeover.run(is_dry=True).mutations, takeover.run().mutations):
        told = {example: reason for reason, odd in report.refused.items() for example in odd.examples}
        for id_, (entity, operation, _, _, why) in zip(made, UNFIT, strict=True):
            assert why in told[f"{id_} ({entity}:{operation})"]
        assert report.held == 1
    assert len(queued(takeover)) == 1


def test_a_status_that_is_not_known_is_told(takeover: Takeover) -> None:
    """Nothing is guessed about a word that nobody knows."""
    takeover.original.mutation("customers", "update", 5, {"name": "x"}, "napping")
    assert list(takeover.run().mutations.refused) == ["its status `napping` is not known"]


def test_numbers_keep_their_digits(takeover: Takeover) -> None:
    """Money is sent as it was written."""
    takeover.original.run(
        "INSERT INTO outbound.mutations (tenant_id, entity_type, operation, entity_id, payload, status) "
        """VALUES (7, 'payments', 'update', 5, '{"typeId": 1, "splits": [{"invoiceId": 1, "amount": 12.50}]}', 'pending')"""
    )
    report = takeover.run().mutations
    assert report.refused == {}
    assert '"amount":12.50' in stored(takeover)


def stored(takeover: Takeover) -> str:
    """The payload of the only change as the store has it."""
    [row] = takeover.operations("mutation", mutation_id=queued(takeover)[0].mutation_id, tenant_id=None)
    return str(row["payload"])


def test_a_table_of_other_spellings_is_read(takeover: Takeover) -> None:
    """`system.mutation_queue` with names of one word for entity and operation."""
    takeover.original.run(
        "DROP TABLE outbound.mutations; CREATE SCHEMA system; CREATE TABLE system.mutation_queue "
        "(id SERIAL, action TEXT, record_id TEXT, body TEXT, state TEXT, queued_at BIGINT, last_error TEXT); "
        "INSERT INTO system.mutation_queue (action, record_id, body, state, queued_at) "
        """VALUES ('customers.update', '5', '{"name": "x"}', 'QUEUED', 1709294400000)"""
    )
    report = takeover.run().mutations
    [one] = queued(takeover)
    assert (report.table, report.held, one.title) == ("system.mutation_queue", 1, "customers:update")
    assert one.created_at == datetime(2024, 3, 1, 12, tzinfo=UTC)


def test_changes_wait_for_a_run_over_all_tables(takeover: Takeover) -> None:
    """A run over one table leaves them, because the records that they are made on may not be here yet."""
    takeover.original.mutation("customers", "update", 5, {"name": "x"}, "pending", created_at=CREATED)
    report = takeover.run(only=("customers",)).mutations
    assert "without `--table`" in report.reason
    assert queued(takeover) == []
    assert takeover.run().mutations.new == 1


def test_a_database_without_changes_says_so(takeover: Takeover) -> None:
    """No table of mutations is no fault."""
    takeover.original.run("DROP TABLE outbound.mutations")
    report = takeover.run()
    assert "no table of mutations" in report.mutations.reason
    assert report.is_good


def test_every_word_means_one_state() -> None:
    """No status means two things, and what is over is only counted."""
    words = [word for words in STATES.values() for word in words]
    assert len(words) == len(set(words))
    assert {State.COMPLETED, State.CANCELLED} == OVER
