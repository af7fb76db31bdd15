"""The models of a living process, which say when they begin to be planned: that may take minutes, with nothing else to tell."""

from cli.living import Lines
from pipelines.modelling import Models


class ToldModels(Models):
    """The SQLMesh project, with a line before each plan."""

    def plan(self, mark: str, landed: list[str]) -> None:
        """See Models.plan."""
        Lines.say("models begin: they were never built here, or their text has changed; tables are built")
        super().plan(mark, landed)
