"""`lazi init`: a folder to work in, outside the repository. It writes what is missing and never over what is there."""

from __future__ import annotations

import json
from pathlib import Path

import click

from cli.sandbox import PORT
from store.exceptions import StoreError, StoreUnwritableError
from store.project import PROJECT

STARTER = Path(__file__).parent / "starter"
SECRET, PLAIN = 0o600, 0o644
SQLMESH = ("config.py", "models/README.md")  # left out together where the folder has a SQLMesh project


class SettingsThereError(StoreError):
    """The folder has settings already, and they lead elsewhere."""


@click.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path))
@click.option(
    "--sandbox", "for_sandbox", is_flag=True, help="Fill in the settings of `lazi sandbox`: no account needed."
)
@click.option(
    "--port", type=click.IntRange(1, 65535), help=f"Where that sandbox is to listen; with --sandbox.  [default: {PORT}]"
)
@click.option("--json", "as_json", is_flag=True, help="What was written, as JSON.")
def init(*, folder: Path, for_sandbox: bool, port: int | None, as_json: bool) -> None:
    """Make FOLDER (default: this one) a place to run lazi from.

    It writes `.env` (settings, readable by you alone), `.dlt/config.toml`, `.dlt/secrets.toml.example`, `.gitignore`, and
    `config.py` and `models/` for SQLMesh models of your own. What is there already is left alone, so that it may be run again.

    \b
    Examples:
      lazi init
      lazi init --sandbox && lazi sandbox
      lazi init --sandbox --port 9000
      lazi init /srv/lazi
      lazi init --json | jq .written
    """
    if port is not None and not for_sandbox:
        raise click.UsageError(
            "`--port` says where the sandbox listens: add `--sandbox`, or leave it out. Where the API listens says `PORT` in "
            "`.env`, or `lazi up --port`."
        )
    port = port or PORT
    filled = sandbox_settings(port) if for_sandbox else {}
    made = Made(folder, starter(filled))
    if filled:
        made.refuse_other_settings(filled)
    made.write()
    steps = next_steps(folder, port, for_sandbox=for_sandbox)
    if as_json:
        report = {"folder": str(folder.resolve()), "project": str(PROJECT), "written": made.written, "kept": made.kept}
        click.echo(json.dumps({**report, "notes": made.notes(), "next": steps}, indent=2))
        return
    for name in made.written:
        click.echo(f"wrote   {name}")
    for name in made.kept:
        click.echo(f"kept    {name}")
    for note in made.notes():
        click.echo(note, err=True)
    click.echo("\n".join(["", "Next:", *(f"  {step}" for step in steps)]))


def starter(filled: dict[str, str]) -> dict[str, str]:
    """The files of a new folder: what stands in each, by its path there. `filled` are settings for `.env`."""
    return {
        ".env": with_settings(settings_template(), filled),
        ".dlt/config.toml": text_of(STARTER / "config_toml.txt"),
        ".dlt/secrets.toml.example": text_of(PROJECT / ".dlt" / "secrets.toml.example"),
        ".gitignore": text_of(STARTER / "gitignore.txt"),
        "config.py": text_of(STARTER / "config_py.txt"),
        "models/README.md": text_of(STARTER / "models_readme.txt"),
    }


def text_of(path: Path) -> str:
    """A file's content."""
    return path.read_text(encoding="utf-8")


def settings_template() -> str:
    """`.env` with nothing filled in."""
    lines = text_of(PROJECT / ".env.example").splitlines()
    told = [line for line in lines if not line.startswith("# Copy to")]  # it was copied
    return "\n".join(["# Settings; an environment variable of the same name goes first.", *told, ""])


def with_settings(text: str, filled: dict[str, str]) -> str:
    """A `.env` in which these settings are filled in, each at its line, commented out or not; at the end where it has none."""
    lines = text.splitlines()
    for name, value in filled.items():
        places = [number for number, line in enumerate(lines) if line.removeprefix("#").startswith(f"{name}=")]
        if places:
            lines[places[0]] = f"{name}={value}"
        else:
            lines.append(f"{name}={value}")
    return "\n".join([*lines, ""])


def sandbox_settings(port: int) -> dict[str, str]:
    """What leads to a `lazi sandbox` at this port."""
    from sandbox.server import Sandbox

    return Sandbox(port=port).environment()


class Made:
    """A folder and the files that it is to have; which were written, and which were there."""

    def __init__(self, folder: Path, files: dict[str, str]) -> None:
        """Raises StoreUnwritableError where the folder is a file."""
        if folder.exists() and not folder.is_dir():
            raise StoreUnwritableError(f"`{folder}` is a file. Name a folder, which may be new: `lazi init FOLDER`.")
        self.folder, self.files = folder, files
        self.written: list[str] = []
        self.kept: list[str] = []

    def refuse_other_settings(self, filled: dict[str, str]) -> None:
        """Raise SettingsThereError where there is a `.env` that somebody filled in otherwise; drop one that nobody did."""
        from store.settings import Places

        path = self.folder / ".env"
        if not path.is_file():
            return
        if text_of(path) == settings_template():
            path.unlink()
            return
        there = Places({}, self.folder).dotenv
        if other := [name for name, value in filled.items() if there.get(name) != value]:
            raise SettingsThereError(
                f"`{path}` is there and has another `{other[0]}` than the sandbox. It is left alone: run `lazi init --sandbox` "
                "in another folder, or move the file away first."
            )

    def write(self) -> None:
        """Write the files that are missing. Raises StoreUnwritableError."""
        has_project = (self.folder / "config.py").exists()
        for name, text in self.files.items():
            if has_project and name in SQLMESH:
                self.kept += [name] if (self.folder / name).exists() else []
            elif self.write_new(name, text):
                self.written.append(name)
            else:
                self.kept.append(name)

    def write_new(self, name: str, text: str) -> bool:
        """Write a file unless it is there; whether it was written. Raises StoreUnwritableError."""
        path = self.folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(SECRET if name == ".env" else PLAIN, exist_ok=False)
        except FileExistsError:
            if path.parent.is_dir():
                return False
            raise unwritable(path.parent, "it is a file") from None
        except OSError as error:
            raise unwritable(path, error.strerror or str(error)) from None
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            path.unlink()
            raise unwritable(path, error.strerror or str(error)) from None
        return True

    def notes(self) -> list[str]:
        """What somebody should do about files that were there."""
        found = []
        settings, ignored = self.folder / ".env", self.folder / ".gitignore"
        if settings.is_file() and settings.stat().st_mode & 0o077:
            found.append(f"`{settings}` can be read by others: `chmod 600 {settings}`.")
        if ignored.is_file() and not {".env", "/.env"} & {*text_of(ignored).splitlines()}:
            found.append(f"`{ignored}` does not name `.env`, which holds secrets: add it.")
        return found


def unwritable(path: Path, reason: str) -> StoreUnwritableError:
    """The error for a file or folder that cannot be made."""
    return StoreUnwritableError(
        f"`{path}` cannot be written: {reason}. Choose a folder that is yours, `lazi init FOLDER`; what is there is left alone."
    )


def next_steps(folder: Path, port: int, *, for_sandbox: bool) -> list[str]:
    """The commands that come next, each with what it is for."""
    at = "" if port == PORT else f" --port {port}"
    settings = {"edit .env": "the credentials of your ServiceTitan application; DATABASE_URL for PostgreSQL"}
    stand_in = {
        f"lazi sandbox{at}": "in another terminal: a ServiceTitan to try everything against",
        "edit .env": "for PostgreSQL alone: DATABASE_URL; without it all stands in files",
    }
    steps = {
        **({} if folder.resolve() == Path.cwd() else {f"cd {folder}": "settings and data stand there"}),
        **(stand_in if for_sandbox else settings),
        "lazi doctor": "whether everything is right",
        "lazi sync": "land everything, build the models",
        "lazi up": "the API and the operations page; it syncs by itself",
        "sqlmesh plan": "models of your own, in models/",
    }
    width = max(map(len, steps))
    return [f"{command:<{width}}  {purpose}" for command, purpose in steps.items()]
