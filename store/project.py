"""Where the SQLMesh project stands, and with it the files that `lazi init` starts a folder with.

In a checkout that is the repository's own folder. A wheel has it in `share/st-lazi` of where it is installed (`shared-data` in
pyproject.toml): not among other people's packages, where `models` and `config.py` would be anybody's, and not within a package,
because of code below `site-packages` SQLMesh notes names alone, so that no changed macro would be a change of a model.
"""

from pathlib import Path

from store.exceptions import StoreError

CODE = Path(__file__).resolve().parent.parent
SHARED = Path("share", "st-lazi")


class CheckoutNeededError(StoreError):
    """What was asked for changes files that belong to an installation."""


def installed(code: Path) -> Path | None:
    """The project that was installed with this code: the nearest at or above it. None in a checkout."""
    return next((place for above in (code, *code.parents) if (place := above / SHARED).is_dir()), None)


INSTALLED = installed(CODE)
PROJECT = INSTALLED or CODE


def need_checkout(what: str) -> None:
    """Raise CheckoutNeededError in an installation, whose files the next one writes over."""
    if INSTALLED:
        raise CheckoutNeededError(
            f"{what} changes the field registry and the models, and in an installation those stay as they came: the next `pip "
            f"install` writes over `{INSTALLED}`. Do it in a checkout of the repository, then install from there (`pip install "
            "-e .`, or a wheel that is built there). Raw tables hold every record whole in the meantime."
        )
