"""`python -m pipelines.warming`: load the SQLMesh project once, as a part of the set-up.

SQLMesh renders the models and keeps the result in `.cache`; a first sync that finds it there, whatever its data folder,
begins to build them half a minute earlier. No warehouse is touched.
"""

import tempfile
from pathlib import Path

from pipelines.modelling import load_project
from store.settings import Settings


def warm() -> int:
    """Load every model into the cache; how many there are."""
    with tempfile.TemporaryDirectory() as folder:
        context = load_project(Settings("", Path(folder), 0, "warning"))
        try:
            return len(context.models)
        finally:
            context.close()


if __name__ == "__main__":
    warm()
