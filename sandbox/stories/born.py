"""What a record shows when somebody has just made it, where that is not a matter of chance."""

from typing import Any

from sandbox.stories.sales import STATES

OPEN: dict[str, Any] = next({"value": value, "name": name} for _, value, name in STATES if name == "Open")

BORN: dict[str, dict[str, Any]] = {
    "appointments": {"status": "Scheduled", "isConfirmed": False},
    "bookings": {"status": "New"},
    "estimates": {"status": OPEN, "soldOn": None, "soldBy": None},
    "jobs": {"jobStatus": "Scheduled", "completedOn": None},
    "leads": {"status": "Open"},
    "purchase_orders": {"status": "Pending", "sentOn": None, "receivedOn": None},
    "returns": {"status": "Pending"},
    "tasks": {"status": "ToDo", "isClosed": False, "closedOn": None},
}
"""By entity. It is also what comes back when a hold or a cancellation is taken back."""
