"""A live `lazi up` beside a sandbox, and a browser that looks at it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Route, sync_playwright

from pipelines.modelling import refresh
from pipelines.sync import Stores, land_all
from sandbox.server import Sandbox
from sources.servicetitan.catalog import CATALOG
from store import keys
from store.operations import open_operations
from store.settings import Settings
from tests.environment import store_environment
from tests.pages.house import House, opened
from tests.ports import free_port
from tests.whole import reach

SHOTS = Path(os.environ.get("LAZI_SHOTS", "")) if os.environ.get("LAZI_SHOTS") else None
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
WIDE, NARROW = (1600, 1000), (380, 800)


@dataclass
class Seat:
    """Where the service listens, what it works on, and keys for it."""

    address: str
    settings: Settings
    sandbox: Sandbox
    process: "subprocess.Popen[bytes]"

    def key(self, *scopes: str, name: str = "Ann", tenant: int = 1) -> str:
        """A new key."""
        with closing(open_operations(self.settings)) as operations:
            return keys.create(operations, name=name, scopes=scopes or ("read", "mutate", "admin"), tenant_id=tenant)


@contextmanager
def seated(settings: Settings, folder: Path, sandbox: Sandbox, **environment: str) -> Iterator[Seat]:
    """The service on these stores, in a process of its own; its words are in `up.log`."""
    port = free_port()
    own = store_environment(settings)
    every = {**os.environ, **sandbox.environment(), "SERVICE_TITAN_RATE": "1000", **own, **environment}
    with (folder / "up.log").open("ab") as log:
        command = [sys.executable, "-m", "cli.main", "up", "--port", str(port)]
        process = subprocess.Popen(command, env=every, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(600):
            assert process.poll() is None, (folder / "up.log").read_text()
            try:
                httpx.get(f"{address}/api/health")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        else:
            raise AssertionError((folder / "up.log").read_text())
        yield Seat(address, settings, sandbox, process)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def furnished(settings: Settings, folder: Path) -> Iterator[Seat]:
    """A service with a copy of a sandbox on these stores."""
    with Sandbox(seed=8, customers=40, report_interval=0) as sandbox, pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("SERVICE_TITAN_", "LAZI_", "DATABASE_URL")) and name != "LAZI_SHOTS":
                patch.delenv(name)
        with closing(Stores.open(settings)) as stores:
            land_all(stores, reach(sandbox), CATALOG)
            refresh(settings, stores.operations)
        with seated(settings, folder, sandbox, LAZI_APPROVAL="estimates:sell") as made:
            yield made


@pytest.fixture(scope="session", params=["duckdb", "postgres"])
def seat(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seat]:
    """A service with a copy of all entities, which goes on reading."""
    url = request.getfixturevalue("make_database")() if request.param == "postgres" else ""
    folder = tmp_path_factory.mktemp(f"pages-{request.param}")
    with furnished(Settings(url, folder / "data", 3001, "warning"), folder) as made:
        yield made


def chromium() -> str | None:
    """Where the system has Chromium, if it does."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium."""
    path = chromium()
    if path is None:
        pytest.skip("no Chromium is installed")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser: Browser, seat: Seat) -> Iterator[Callable[..., Page]]:
    """Opens pages as somebody with a key; in the end no page may have spoken, erred, or asked another machine."""
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def opened(*scopes: str, name: str = "Ann", width: tuple[int, int] = WIDE, dark: bool = False, **more: Any) -> Page:
        context = browser.new_context(
            viewport={"width": width[0], "height": width[1]}, color_scheme="dark" if dark else "light", **more
        )
        contexts.append(context)

        def pass_on(route: Route) -> None:
            if route.request.url.startswith(seat.address):
                route.continue_()
            else:
                wrong.append(f"asked {route.request.url}")
                route.abort()

        context.route("**/*", pass_on)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(f"error {error}"))
        page.on(
            "console",
            lambda said: wrong.append(f"{said.type} {said.text}") if said.type in {"error", "warning"} else None,
        )
        sign_in(page, seat.address, seat.key(*scopes, name=name))
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not wrong


def sign_in(page: Page, address: str, key: str) -> None:
    """As a person does."""
    page.goto(f"{address}/sign-in")
    page.get_by_label("Key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{address}/")


LOOK = """async ([address, text, does]) => {
  for (let look = 0; look < 120; look++) {
    if ((await (await fetch(address)).text()).includes(text) === does) return;
    await new Promise((go) => setTimeout(go, 1000));
  }
  throw new Error(`${address} did not come to ${does ? "tell" : "hide"} ${text}`);
}"""


def comes_to_tell(page: Page, address: str, text: str, *, does: bool = True) -> None:
    """Wait, for two minutes at most, until an address tells something, or does not any more; the open page stays as it is."""
    page.evaluate(LOOK, [address, text, does])


def shoot(page: Page, name: str) -> None:
    """A picture of the whole page, where somebody wants pictures (`LAZI_SHOTS` names a folder)."""
    if SHOTS:
        SHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SHOTS / f"{name}.png", full_page=True)


def looks_right(page: Page, name: str) -> None:
    """Nothing is wider than the window, and axe finds nothing, at both widths in both schemes; pictures are kept."""
    for width, size in (("wide", WIDE), ("narrow", NARROW)):
        page.set_viewport_size({"width": size[0], "height": size[1]})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
            shoot(page, f"{name}-{width}-{scheme}")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The pages on an empty store of each kind, without a browser."""
    url = request.getfixturevalue("make_database")() if request.param == "postgres" else ""
    folder = tmp_path_factory.mktemp(f"house-{request.param}")
    with opened(Settings(url, folder / "data", 3001, "warning")) as made:
        yield made
