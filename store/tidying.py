"""What the operations store forgets: rows that nobody needs any more, which would otherwise grow for years."""

from datetime import datetime, timedelta

from store.operations import Operations

KEPT = {
    "forget_idle_batches": timedelta(days=14),  # reads that found nothing
    "forget_failed_batches": timedelta(days=90),
    "forget_model_runs": timedelta(days=30),
    "forget_reconciliations": timedelta(days=365),
    "forget_webhook_events": timedelta(days=90),
    "forget_errands": timedelta(days=30),
}
"""By query, for how long."""


def tidy(operations: Operations, now: datetime) -> None:
    """Forget what is too old. What landed, chains of reads, and changes to ServiceTitan stay whole."""
    for query, kept in KEPT.items():
        operations.run(query, before=now - kept)
