"""Text from outside, made safe to repeat in an answer or a log."""

SHOWN = 80


def shortened(text: str) -> str:
    """A text without control characters, cut where it is long."""
    clean = "".join(char if char.isprintable() else "\ufffd" for char in text[:SHOWN])
    return clean if len(text) <= SHOWN else f"{clean}..."
