"""The data folder."""

import os
from pathlib import Path

from store.exceptions import StoreUnwritableError


def prepare_folder(folder: Path) -> Path:
    """Make the folder when it is missing. Raises StoreUnwritableError when it cannot be made or written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error.strerror or str(error)) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise unwritable(folder, "no permission to write")
    return folder


def unwritable(folder: Path, reason: str) -> StoreUnwritableError:
    """The error for a folder that cannot be used."""
    return StoreUnwritableError(
        f"The data folder `{folder}` cannot be written: {reason}. Give its path rights, or name another one with "
        "`LAZI_DATA_DIR`."
    )
