"""A Dockerfile as it stands, read into stages and instructions."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)")
FLAG = re.compile(r"--[\w-]+=\S+\s+")


@dataclass(frozen=True)
class Instruction:
    """One instruction: its word, its flags, and the rest of its text."""

    word: str
    flags: dict[str, str]
    text: str

    @property
    def command(self) -> list[str]:
        """What a RUN, CMD, ENTRYPOINT or health check executes: as a list, or by the shell."""
        text = self.text.removeprefix("CMD").strip() if self.word == "HEALTHCHECK" else self.text
        found: list[str] = json.loads(text) if text.startswith("[") else ["/bin/sh", "-c", text]
        return found

    @property
    def pairs(self) -> dict[str, str]:
        """The names and values of ENV, LABEL or ARG."""
        return dict(part.partition("=")[::2] for part in shlex.split(self.text))


@dataclass
class Stage:
    """What stands between two FROM."""

    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def last(self, word: str) -> Instruction:
        """The last instruction of a word, which is the one that holds."""
        return [one for one in self.instructions if one.word == word][-1]


def replaced(text: str, values: Mapping[str, str]) -> str:
    """Text with its variables replaced; nothing stands for those that have no value."""
    return VARIABLE.sub(lambda match: values.get(match[1] or match[2], ""), text)


def lines(text: str) -> Iterator[str]:
    """Instructions without comments, each on one line."""
    kept = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    yield from filter(None, (line.strip() for line in re.sub(r"\\\n\s*", " ", kept).splitlines()))


def stages(path: Path) -> list[Stage]:
    """The stages of a file."""
    found: list[Stage] = []
    arguments: dict[str, str] = {}
    for line in lines(path.read_text(encoding="utf-8")):
        word, _, text = line.partition(" ")
        flags = {}
        while word != "RUN" and (flag := FLAG.match(text)):
            name, _, value = flag[0].strip()[2:].partition("=")
            flags[name] = value
            text = text[flag.end() :]
        one = Instruction(word, flags, text.strip())
        if word == "FROM":
            base, _, name = one.text.partition(" AS ")
            found.append(Stage(replaced(base, arguments), name))
        elif found:
            found[-1].instructions.append(one)
        else:
            arguments |= one.pairs
    return found


def is_ignored(path: str, patterns: list[str]) -> bool:
    """Whether a file stays out of what is sent to the builder: the last pattern that fits it or a folder above decides."""
    ignored = False
    places = [path, *(str(parent) for parent in Path(path).parents if str(parent) != ".")]
    for pattern in patterns:
        made = re.escape(pattern.lstrip("!")).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
        made = made.replace(r"\[co\]", "[co]")
        if any(re.fullmatch(made, place) for place in places):
            ignored = not pattern.startswith("!")
    return ignored


def context(root: Path) -> list[str]:
    """The files of a folder that a build sees, by `.dockerignore`."""
    patterns = [*lines((root / ".dockerignore").read_text(encoding="utf-8"))]
    tops = {pattern.lstrip("!").split("/")[0] for pattern in patterns if pattern.startswith("!")}
    files = [path for top in sorted(tops) for path in [root / top, *(root / top).rglob("*")] if path.is_file()]
    names = sorted({str(path.relative_to(root)) for path in files})
    return [name for name in names if not is_ignored(name, patterns)]
