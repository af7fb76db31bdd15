"""The commands to their page: what `--help` says of each."""

from collections.abc import Iterator

import click

from discovery.reference.page import page

WIDTH = 110  # columns of a help text
INTRODUCTION = """
What `--help` says of each command, word for word. Exit codes are 0 for good, 1 for something that failed or is not as it
should be, 2 for what could not begin: usage, settings, store, credentials. An error says what to do; `LOG_LEVEL=debug` adds
the traceback.
"""


def commands_page(program: click.Group) -> str:
    """Every command and subcommand of a program."""
    sections = [section(context) for context in contexts(program, "lazi")]
    return page("Commands", INTRODUCTION, *sections)


def contexts(command: click.Command, name: str, parent: click.Context | None = None) -> Iterator[click.Context]:
    """A command's context and those of all commands below it, in the order of their names."""
    how = {"terminal_width": WIDTH, "max_content_width": WIDTH, "color": False, **command.context_settings}
    context = click.Context(command, info_name=name, parent=parent, **how)
    yield context
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            if found is not None and not found.hidden:
                yield from contexts(found, below, context)


def section(context: click.Context) -> str:
    """One command's heading and help."""
    return f"## {context.command_path}\n\n```text\n{context.get_help().rstrip()}\n```"
