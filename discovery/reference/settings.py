"""The table of the settings to its page and to `.env.example`."""

from itertools import groupby
from operator import attrgetter

from discovery.reference.page import code, page, table
from store.setting import SETTINGS, Setting, environment_name

EXAMPLE_MARK = "# Copy to `.env`, mode 600, and fill in; made from store/setting.py by `lazi discover docs`."
BEGINNING = f"""{EXAMPLE_MARK}
# A line that begins with # is off and shows the default or, where there is none, an example.
# `lazi sandbox` prints settings that need no ServiceTitan account."""
INTRODUCTION = """
Every setting has two names: ours, for the environment and `.env`, and dlt's, for `.dlt/secrets.toml`, `.dlt/config.toml` and,
in capitals with double underscores, the environment. [Configuration](../configuration.md) says which place counts first.
"""


def settings_page() -> str:
    """All settings by what they are about."""
    parts = [INTRODUCTION]
    for group, settings in groupby(SETTINGS, attrgetter("group")):
        parts += [f"## {group}", "\n\n".join(map(section, settings))]
    return page("Settings", *parts)


def section(setting: Setting) -> str:
    """One setting: what it tells, its default, an example, and dlt's name."""
    facts = table(
        ("default", "example", "dlt's name", "in the environment also"),
        [
            (
                code(setting.default) or ("needed" if setting.is_needed else "none"),
                code(setting.example),
                code(setting.dlt),
                code(environment_name(setting.dlt)),
            )
        ],
    )
    return f"### {setting.name}\n\n{setting.about}\n\n{facts}"


def example() -> str:
    """The text of `.env.example`."""
    parts = [BEGINNING]
    for group, settings in groupby(SETTINGS, attrgetter("group")):
        parts.append("\n".join([f"\n# == {group} ==", *map(entry, settings)]))
    return "\n".join(parts) + "\n"


def entry(setting: Setting) -> str:
    """One setting's lines."""
    shown = f"{setting.name}=" if setting.is_needed else f"#{setting.name}={setting.default or setting.example}"
    return f"# {setting.about.replace('`', '')}\n{shown}"
