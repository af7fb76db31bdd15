"""Names in `.env` that are no setting, and look like one."""

import logging
from collections.abc import Iterable
from difflib import get_close_matches

from store.secret_file import SUFFIX
from store.setting import SETTINGS, environment_name

ALIKE = 0.85  # of 1: one letter more, less or exchanged; not `LAZI_DATABASE_URL` and the like, which another program may read

log = logging.getLogger(__name__)
told: set[str] = set()


def misspelled(names: Iterable[str]) -> dict[str, str]:
    """The setting that each of these names seems to mean; names of settings, and of anything else, are left out."""
    own = [name for setting in SETTINGS for name in (setting.name, environment_name(setting.dlt))]
    known = [*own, *(name + SUFFIX for name in own)]
    alike = {name: get_close_matches(name.upper(), known, 1, ALIKE) for name in names if name not in known}
    return {name: found[0] for name, found in alike.items() if found}


def sentences(names: Iterable[str]) -> list[str]:
    """What is to be said of them."""
    return [
        f"`.env` sets `{name}`, which is no setting and changes nothing. Is `{meant}` meant?"
        for name, meant in misspelled(names).items()
    ]


def warn(names: Iterable[str]) -> None:
    """Say it to the log, once in a process."""
    for sentence in sentences(names):
        if sentence not in told:
            told.add(sentence)
            log.warning(sentence)
