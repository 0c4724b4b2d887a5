"""A real Chromium, and a real centre with a broker and a database of its own."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from aggregator.serve import STATIC
from deploy.demo import Options, Processes, aggregator_toml
from deploy.stack import Stack
from tests.browser.scripted import ScriptedNode

expect.set_options(timeout=20_000)  # a busy machine is no failure

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


class Centre:
    """An aggregator process that can be killed and started again at the same port."""

    def __init__(self, folder: Path, stack: Stack) -> None:
        self.options = Options.read({"DIR": str(folder), "PORT": "0"})
        self.stack = stack
        self.processes = Processes(folder)
        self._config = str(aggregator_toml(self.options, stack))

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.options.port}"

    def start(self) -> None:
        """Start it and wait until it is healthy."""
        self.processes.start("aggregator", "aggregator", "run", "--config", self._config)
        deadline = time.monotonic() + 60
        while not self._healthy():
            self.processes.check()
            assert time.monotonic() < deadline, "the aggregator is not healthy after 60 s"
            time.sleep(0.1)

    def add_user(self, name: str, password: str, role: str) -> None:
        """Let a person in, as `gb-aggregator add-user` does."""
        command = [
            sys.executable,
            "-m",
            "aggregator",
            "add-user",
            name,
            "--role",
            role,
            "--config",
            self._config,
        ]
        subprocess.run(command, input=f"{password}\n", text=True, check=True, timeout=60)

    def kill(self) -> None:
        """End it without a warning."""
        process = self.processes.running["aggregator"]
        process.send_signal(signal.SIGKILL)
        process.wait()

    def _healthy(self) -> bool:
        try:
            return bool(urllib.request.urlopen(f"{self.url}/healthz", timeout=2).status == 200)
        except (urllib.error.URLError, OSError):
            return False


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium: `sudo apt-get install chromium`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    """A running centre with no nodes but those that a test brings."""
    if not (STATIC / "index.html").exists():
        pytest.skip("the page is not built: `make setup`")
    folder = tmp_path_factory.mktemp("centre")
    with Stack(folder) as stack:
        running = Centre(folder, stack)
        try:
            running.start()
            yield running
        finally:
            running.processes.stop()


@pytest.fixture
def page(browser: Browser, centre: Centre) -> Iterator[Page]:
    """A page that is logged in; a test fails if a script in it failed or was refused."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if "Content Security" in said.text else None)
    page.goto(f"{centre.url}/#token={centre.options.token}")
    page.get_by_test_id("link").wait_for()
    yield page
    context.close()
    assert wrong == []


@pytest.fixture
def node(centre: Centre) -> Iterator[ScriptedNode]:
    """A node that says over the real broker what the test tells it to say."""
    with ScriptedNode(centre.stack.mqtt_url, f"test-{time.monotonic_ns() % 10**9}") as node:
        yield node
