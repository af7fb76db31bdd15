"""A setting whose value stands in a file of its own: `DATABASE_URL_FILE=/run/secrets/database_url`.

So containers and systemd hand out secrets. What is in such a file never appears in a message, nor does what is no path:
it may be the secret itself, set by mistake.
"""

from pathlib import Path

from store.exceptions import SettingsError

SUFFIX = "_FILE"
LARGEST = 64 * 1024  # bytes; the largest secret there is are a few certificates


def read_secret(name: str, text: str, folder: Path) -> str:
    """What the file `text` holds, without white space around it; relative paths begin at `folder`. Raises SettingsError.

    `name` is the setting's name as it was found, with `_FILE` at its end.
    """
    path = folder / Path(text).expanduser()
    try:
        if path.stat().st_size > LARGEST:
            raise unusable(name, text, f"it has more than {LARGEST:,} bytes")
        value = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise unusable(name, text, (error.strerror or type(error).__name__).lower()) from None
    except ValueError:  # no UTF-8, or a path with a zero byte
        raise unusable(name, text, "it is no text in UTF-8") from None
    if not value:
        raise unusable(name, text, "it is empty")
    return value


def unusable(name: str, text: str, reason: str) -> SettingsError:
    """The error for a file that cannot be used."""
    is_path = text.startswith(("/", "./", "../", "~/")) and "://" not in text
    shown = f"`{text}`" if is_path else "(not shown, because it does not look like a path)"
    return SettingsError(
        f"`{name}` names the file {shown}, which cannot be used: {reason}. Name a file that holds nothing but the value and "
        f"that this user may read, or set `{name.removesuffix(SUFFIX)}` instead."
    )
