"""The site builds without a warning, and a page loads nothing from another host."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.fence import DOCS, ROOT

LOADED = re.compile(
    r"<(?:script|img|iframe)\b[^>]*\bsrc=\"([^\"]+)|<link\b(?![^>]*rel=\"(?:next|prev)\")[^>]*\bhref=\"([^\"]+)"
)
QUIET = {"NO_MKDOCS_2_WARNING": "1"}  # the theme's word about the next tool


def built(docs: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """A strict build, with the project's settings, of a folder of pages."""
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").replace("docs_dir: docs", f"docs_dir: {docs}")
    (site.parent / "mkdocs.yml").write_text(settings)
    return subprocess.run(
        [
            Path(sys.executable).parent / "mkdocs",
            "build",
            "--strict",
            "--config-file",
            site.parent / "mkdocs.yml",
            "--site-dir",
            site,
        ],
        capture_output=True,
        text=True,
        env={**os.environ, **QUIET},
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    folder = tmp_path_factory.mktemp("site") / "site"
    done = built(DOCS, folder)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr, done.stderr
    return folder


def test_every_page_is_built(site: Path):
    """Also the generated ones."""
    pages = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}
    assert {path.relative_to(site) for path in site.rglob("*.html")} >= pages


def test_nothing_is_loaded_from_another_host(site: Path):
    """Scripts, styles, pictures, frames."""
    loaded = [
        first or second
        for path in site.rglob("*.html")
        for first, second in LOADED.findall(path.read_text(encoding="utf-8"))
    ]
    assert len(loaded) > 100
    assert not [address for address in loaded if address.startswith(("http:", "https:", "//"))]
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert not re.search(r"url\([\"']?(?:https?:)?//", styles)


@pytest.mark.parametrize("link", ["[x](nowhere.md)", "[x](index.md#nowhere)", "[x](/absolute.md)"])
def test_a_link_that_leads_nowhere_is_an_error(link: str, tmp_path: Path):
    """To a page, to a heading, to a place outside."""
    docs = tmp_path / "docs"
    for path in [path for path in DOCS.rglob("*") if path.is_file()]:
        (docs / path.relative_to(DOCS)).parent.mkdir(parents=True, exist_ok=True)
        (docs / path.relative_to(DOCS)).write_bytes(path.read_bytes())
    with (docs / "limits.md").open("a") as file:
        file.write(f"\n{link}\n")
    assert built(docs, tmp_path / "site").returncode != 0
