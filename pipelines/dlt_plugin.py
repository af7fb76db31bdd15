"""What this project adds to dlt's own command line: `dlt pipeline run [NAME ...]`, also as `dlt pipeline NAME run`.

dlt imports this module whenever it is imported, so nothing heavy stands at the top. A folder is ours when its
`.dlt/config.toml` has a `[lazi]` table; there `dlt pipeline NAME info` finds the working files in the data folder. A process is
ours, whatever its folder, once it called `adopt`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlt.common.configuration import plugins
from dlt.common.configuration.container import Container
from dlt.common.configuration.providers.provider import ConfigProvider
from dlt.common.configuration.providers.toml import SettingsTomlProvider
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from dlt.common.runtime.run_context import RunContext
from dlt.common.runtime.telemetry import stop_telemetry

from pipelines.names import PIPELINES
from store.project import PROJECT
from store.settings import load, read_toml


class LaziRunContext(RunContext):
    """dlt's context of this project: working files in the data folder, apart for each warehouse.

    What the folder's settings do not say is as in the `.dlt/config.toml` that came with the project.
    """

    is_everywhere = False  # or only in our folders

    def initial_providers(self) -> list[ConfigProvider]:
        """Where dlt looks for its settings."""
        shipped = SettingsTomlProvider("config.toml of st-lazi", False, "config.toml", [str(PROJECT / ".dlt")])
        return [*super().initial_providers(), shipped]

    @property
    def data_dir(self) -> str:
        """Where dlt keeps pipelines."""
        from pipelines.landing import working_folder  # noqa: PLC0415  a costly import, made when it is needed

        return str(working_folder(load()))


def adopt() -> None:
    """Make this process's dlt ours: it sends no telemetry, and has the settings on which landing relies, in any folder."""
    LaziRunContext.is_everywhere = True
    container = Container()
    if PluggableRunContext in container and not isinstance(container[PluggableRunContext].context, LaziRunContext):
        stop_telemetry()  # which dlt began for a folder that is not ours
        container[PluggableRunContext].reload()


class RunCommand:
    """`dlt pipeline run`."""

    command = "run"
    parent = "pipeline"
    compose = "replace"
    help_string = "Land what changed in ServiceTitan"
    description = (
        "Reads the pipeline's entities from ServiceTitan and appends what is new to `raw.st_*`. Models are left as they "
        "are: run `sqlmesh run`, or use `lazi sync` for both."
    )
    docs_url = None

    def configure_parser(self, parser: argparse.ArgumentParser) -> None:
        """The command's arguments."""
        parser.add_argument(
            "names", nargs="*", metavar="NAME", help=f"one of {', '.join(PIPELINES)}; all when left out"
        )
        parser.add_argument("--entity", action="append", default=[], help="only this entity; may be repeated")
        parser.add_argument(
            "--full", action="store_true", help="read from the beginning; still appends only what differs"
        )

    def execute(self, args: argparse.Namespace) -> None:
        """Run the pipelines that the arguments name."""
        from pipelines.dlt_run import run  # noqa: PLC0415  a costly import, made when it is needed

        named = [args.pipeline_name] if args.pipeline_name else []
        run([*named, *args.names], args.entity, full=args.full)


@plugins.hookimpl(specname="plug_cli")
@plugins.only_host("dlt")
def plug_run(host: str) -> Any:  # noqa: ARG001  the caller's signature
    """Add `run` to `dlt pipeline`."""
    return RunCommand


@plugins.hookimpl(specname="plug_cli", tryfirst=True)
@plugins.only_host("dlt")
def plug_verb_first(host: str) -> Any:  # noqa: ARG001  the caller's signature
    """Let `run` stand before the names, as people say it."""
    from dlt._workspace.cli.commands import PipelineCommand  # noqa: PLC0415  a costly import, made when it is needed

    class VerbFirst(PipelineCommand):
        """`dlt pipeline`, with `pipeline run NAME` read as `pipeline NAME run`."""

        def configure_parser(self, pipe_cmd: argparse.ArgumentParser) -> None:
            super().configure_parser(pipe_cmd)
            parse = pipe_cmd.parse_known_args

            def parse_known_args(args: Sequence[str] | None = None, namespace: Any = None) -> Any:
                if args and args[0] == "run" and len(args) > 1 and not args[1].startswith("-"):
                    args = [args[1], "run", *args[2:]]
                return parse(args, namespace)

            pipe_cmd.parse_known_args = parse_known_args  # type: ignore[method-assign,assignment]

    return VerbFirst


@plugins.hookimpl
def plug_run_context(run_dir: str | None, runtime_kwargs: dict[str, Any] | None) -> RunContext | None:  # noqa: ARG001  the caller's signature
    """This project's context in this project's folders and processes, dlt's own everywhere else."""
    folder = Path(run_dir or ".")
    is_ours = LaziRunContext.is_everywhere or "lazi" in read_toml(folder / ".dlt" / "config.toml")
    return LaziRunContext(run_dir) if is_ours else None
