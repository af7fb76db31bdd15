"""A SQLMesh console that prints nothing and remembers why models failed."""

from typing import Any

from sqlmesh.core.console import NoopConsole


class Failures(NoopConsole):
    """Keeps the reasons of failed models."""

    def __init__(self) -> None:
        super().__init__()
        self.reasons: list[str] = []

    def log_failed_models(self, errors: list[Any]) -> None:
        """Remember each failed model and its own error."""
        for error in errors:
            cause = error.__cause__ or error
            node = getattr(error.node, "snapshot_name", error.node)
            self.reasons.append(f"{node}: {' '.join(str(cause).split())[:300]}")
