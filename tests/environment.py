"""How a process of its own is told which store a test has."""

from store.settings import Settings


def store_environment(settings: Settings) -> dict[str, str]:
    """The variables that lead a command to the store of these settings, whatever its engine."""
    return {
        "LAZI_DATA_DIR": str(settings.data_dir),
        "DATABASE_URL": settings.database_url or "embedded",
        "LAZI_WAREHOUSE": settings.warehouse,
    }
