"""What schemathesis makes of the OpenAPI document, asked of a real server: all checks, examples, boundaries and fuzzing."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.conftest import Api

EXAMPLES = 50  # an operation


def schemathesis(port: int, key: str, folder: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    """A run of its command line against the API."""
    command = [
        str(Path(sys.executable).parent / "schemathesis"),
        "--config-file",
        str(Path(__file__).with_name("schemathesis.toml")),
        "run",
        f"http://127.0.0.1:{port}/api/docs/openapi.json",
    ]
    options = ["--checks", "all", "--header", f"x-api-key: {key}", "--seed", "7", "--no-color", "--workers", "2", *more]
    return subprocess.run([*command, *options], cwd=folder, text=True, capture_output=True, check=False)


@pytest.mark.slow
def test_schemathesis_finds_nothing(api: Api, port: int, tmp_path: Path):
    """On every operation of the document."""
    found = schemathesis(port, api.key("read", "mutate", "admin"), tmp_path, "--max-examples", str(EXAMPLES))
    assert found.returncode == 0, found.stdout[-6000:] + found.stderr[-2000:]
