"""What this project adds to dlt's own command line: `dlt pipeline run [NAME ...]`, also as `dlt pipeline NAME run`.

dlt imports this module whenever it is imported, so nothing heavy stands at the top. A folder is ours when its
`.dlt/config.toml` has a `[lazi]` table; there `dlt pipeline NAME info` finds the working files in the data folder.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlt.common.configuration import plugins
from dlt.common.runtime.run_context import RunContext

from pipelines.names import PIPELINES
from store.settings import load, read_toml


class LaziRunContext(RunContext):
    """dlt's context of this project: working files in the data folder, apart for each warehouse."""

    @property
    def data_dir(self) -> str:
        """Where dlt keeps pipelines."""
        from pipelines.landing import working_folder  # noqa: PLC0415  a costly import, made when it is needed

        return str(working_folder(load()))


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
    """This project's context in this project's folder, dlt's own everywhere else."""
    folder = Path(run_dir or ".")
    return LaziRunContext(run_dir) if "lazi" in read_toml(folder / ".dlt" / "config.toml") else None
