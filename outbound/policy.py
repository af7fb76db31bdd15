"""Which changes somebody else must approve, and who may."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from outbound.exceptions import NotAllowedError
from outbound.operations import ALIASES, Operation
from outbound.queue import Mutation


def needs_approval(operation: Operation, patterns: Iterable[str]) -> bool:
    """Whether a pattern names the operation, by its name or by one of the original service's."""
    names = {
        operation.title,
        *(f"{alias.entity}:{alias.name}" for alias in ALIASES if alias.means == (operation.entity, operation.name)),
    }
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in names)


def check_approver(mutation: Mutation, *, key_id: str, name: str) -> None:
    """Whoever wants a change does not approve it. Raises NotAllowedError."""
    if key_id == mutation.key_id or name == mutation.initiated_by:
        raise NotAllowedError(
            f"Mutation {mutation.mutation_id} was initiated by `{mutation.initiated_by}`, with the same key or name. Somebody "
            "else must approve it, with a key of the scope `admin` of their own."
        )
