"""SQLMesh's cache. `python -m pipelines.warming` loads the SQLMesh project once, as a part of the set-up.

SQLMesh renders the models and keeps the result; a first sync that finds it, whatever its data folder, begins to build
them half a minute earlier. No warehouse is touched. The result stands in the project's folder, in an installation too: who
may not write there goes without.
"""

import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from pipelines.modelling import PROJECT, load_project
from store.settings import Settings

RENDERED = "optimized_query"  # what SQLMesh calls the part of its cache that no warehouse has a share in


def cache_folder(data_dir: Path, warmed: Path = PROJECT / ".cache") -> Path:
    """Where SQLMesh's cache for a data folder is; a new one begins with what the set-up rendered.

    Each has its own: SQLMesh keeps in it which table holds a model, by the model's text alone, and two warehouses of the
    same text and different pasts have it in different tables.
    """
    folder = data_dir.resolve() / "sqlmesh"
    if not folder.exists() and (warmed / RENDERED).exists():
        with suppress(OSError):  # such as one that another user made: it is rendered anew
            shutil.copytree(warmed / RENDERED, folder / RENDERED, dirs_exist_ok=True, copy_function=shutil.copyfile)
    return folder


def warm() -> int:
    """Keep every rendered model for later data folders; how many models there are. Raises OSError where none can be kept."""
    kept = PROJECT / ".cache" / RENDERED
    kept.mkdir(parents=True, exist_ok=True)  # before the work
    with tempfile.TemporaryDirectory() as folder:
        context = load_project(Settings("", Path(folder), 0, "warning"))
        try:
            models = len(context.models)
        finally:
            context.close()
        # SQLMesh lets nobody else read them, and an image's are another user's
        shutil.copytree(cache_folder(Path(folder)) / RENDERED, kept, dirs_exist_ok=True, copy_function=shutil.copyfile)
    return models


def main() -> None:
    """Warm, or say in a line why not."""
    try:
        warm()
    except OSError as error:
        sys.exit(
            f"`{PROJECT / '.cache'}` cannot be written: {error.strerror or error}. Run it as who installed the project, or leave "
            "it: each data folder's first sync renders the models then, which takes half a minute."
        )


if __name__ == "__main__":
    main()
