"""The names by which dlt knows the pipelines: one for each priority."""

PRIORITIES = (1, 2, 3, 4)
PIPELINES: dict[str, int] = {f"servicetitan_p{priority}": priority for priority in PRIORITIES}


def pipeline_name(priority: int) -> str:
    """The name of a priority's pipeline."""
    return next(name for name, number in PIPELINES.items() if number == priority)
