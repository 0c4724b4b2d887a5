"""The whole story in real Chromium with real processes: from the printed token to a fleet of three people."""

from __future__ import annotations

import http.server
import json
import os
import queue
import shlex
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from aggregator.serve import STATIC
from deploy.stack import Stack, die_with_parent, free_port
from tests.integration.test_enrol import Centre as Prepared

TOKEN = "the-token-that-is-printed"
PASSWORD = "a long password"


class Programs:
    """Our own programs, as processes that end with the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, module: str, *arguments: str) -> None:
        """Start one."""
        command = [sys.executable, "-m", module, *arguments]
        with (self.folder / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, preexec_fn=die_with_parent
            )

    def kill(self, name: str) -> None:
        """End one without a warning."""
        process = self.running.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()


class Hook:
    """A web server that keeps what is posted to it."""

    def __init__(self) -> None:
        self.got: queue.Queue[dict[str, Any]] = queue.Queue()
        got = self.got

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                got.put({"signature": self.headers["webhook-signature"], **json.loads(body)})
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server.server_port}/hook"


class Story:
    """A centre with rights at its broker, its database, and boxes that join it."""

    def __init__(self, folder: Path, stack: Stack) -> None:
        self.folder = folder
        self.prepared = Prepared(folder / "centre")
        self.programs = Programs(folder)
        self.port = free_port()
        self.config = folder / "centre" / "centre" / "aggregator.toml"
        text = self.config.read_text()
        begin = text.index("[mongodb]")
        end = text.index("[site]")
        database = f'[mongodb]\nuri = "{stack.mongodb_uri}"\ndatabase = "story"\n\n'
        http_ = f'[http]\nport = {self.port}\ntoken = "{TOKEN}"\n\n'
        self.config.write_text(text[:begin] + database + http_ + text[end:])

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.port}"

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the API with the token."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/api/v1{path}", data, headers, method=method)
        return json.loads(urllib.request.urlopen(request, timeout=10).read())

    def healthy(self) -> bool:
        """Return whether the centre makes progress."""
        try:
            return bool(urllib.request.urlopen(f"{self.url}/healthz", timeout=2).status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def box(self, name: str, model: str, line: str) -> None:
        """Install a box as the line says, and start its agent."""
        folder = self.folder / name
        folder.mkdir()
        config = folder / "agent.toml"
        config.write_text(
            f'node = "new"\nstate_dir = "{folder / "state"}"\n[broker]\nurl = "mqtt://127.0.0.1:1"\n'
            f'[camera.cam0]\nsource = "scene:?seed=7"\nmodel = "{model}"\n'
        )
        (folder / "state").mkdir()
        words = shlex.split(line)
        said = dict(zip(words[2::2], words[3::2], strict=True))
        join = [said["--join"], name, said["--code"], said["--fingerprint"], "--config", str(config)]
        subprocess.run([sys.executable, "-m", "agent", "enrol", *join], check=True, timeout=60)
        self.programs.start(name, "agent", "run", "--config", str(config))

    def told_to(self, hook: Hook) -> dict[str, Any]:
        """Return what is posted to a hook next; else say what the centre knew."""
        try:
            return hook.got.get(timeout=120)
        except queue.Empty:
            nodes = [(node["node"], node["state"]) for node in self.call("GET", "/fleet")["nodes"]]
            alerts = self.call("GET", "/alerts/history")["alerts"]
            log = (self.folder / "aggregator.log").read_text()[-2000:]
            pytest.fail(f"nothing was posted; nodes: {nodes}, alerts: {alerts}, log: {log}")

    def until(self, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.2)


@pytest.fixture
def story(tmp_path: Path, stack: Stack) -> Iterator[Story]:
    """The centre, started as an operator starts it."""
    if not (STATIC / "index.html").exists():
        pytest.skip("the page is not built: `make setup`")
    told = Story(tmp_path, stack)
    told.prepared.service.start()
    told.programs.start("aggregator", "aggregator", "run", "--config", str(told.config))
    try:
        told.until(told.healthy)
        yield told
    finally:
        for name in list(told.programs.running):
            told.programs.kill(name)
        told.prepared.service.kill(signal.SIGTERM)


def log_in(page: Page, story: Story, name: str) -> None:
    """Log in by name and password."""
    page.goto(story.url)
    page.get_by_role("button", name="Use a name and password").click()
    page.get_by_label("User").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.get_by_test_id("link")).to_have_text("Live")


def tab(page: Page, name: str) -> None:
    """Open a tab of the managing page."""
    page.get_by_role("link", name="Manage").click()
    page.get_by_role("navigation", name="Manage").get_by_role("link", name=name).click()


def picture(page: Page, name: str) -> None:
    """Keep a picture of the page where STORY_PICTURES names a folder."""
    if folder := os.environ.get("STORY_PICTURES", ""):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def test_three_people_run_a_fleet_from_one_page(browser: Browser, story: Story) -> None:
    """First admin, one code, two boxes, one line, refusal, profile, alert, removal; what a viewer may not."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))

    page.goto(f"{story.url}/#token={TOKEN}")
    page.get_by_role("link", name="Manage").click()
    form = page.get_by_test_id("first-admin-form")
    form.get_by_label("Name").fill("anna")
    form.get_by_label("Password").fill(PASSWORD)
    picture(page, "first-admin")
    form.get_by_role("button", name="Add").click()
    expect(page.get_by_test_id("first-admin")).to_have_count(0)
    page.get_by_role("button", name="Log out").click()
    log_in(page, story, "anna")

    tab(page, "Places")
    form = page.get_by_test_id("put-site")
    for label, text in (
        ("Site", "north"),
        ("Title", "<b>North</b>"),
        ("Latitude", "52.5"),
        ("Longitude", "13.4"),
    ):
        form.get_by_label(label, exact=True).fill(text)
    form.get_by_role("button", name="Save").click()
    expect(page.get_by_test_id("map-site")).to_contain_text("<b>North</b>")
    picture(page, "places")

    tab(page, "Boxes")
    form = page.get_by_test_id("invite-form")
    form.get_by_label("Boxes").fill("2")
    form.get_by_label("Site").fill("north")
    form.get_by_role("button", name="Create a code").click()
    line = page.get_by_test_id("line").inner_text()
    picture(page, "boxes")
    for name, model in (("road-1", "traffic"), ("hall-1", "mask")):
        story.box(name, model, line)
    expect(page.get_by_test_id("managed-node")).to_have_count(2, timeout=60_000)
    expect(page.get_by_test_id("invitation")).to_have_count(1)

    tab(page, "Settings")
    form = page.get_by_test_id("many-form")
    form.get_by_label("One line").fill("gate: 0,0.5 1,0.5")
    form.get_by_label("Site").fill("north")
    form.get_by_role("button", name="Show what would change").click()
    expect(page.get_by_test_id("difference").get_by_text("lines.gate")).to_have_count(2)
    picture(page, "difference")
    page.get_by_test_id("send").click()
    expect(page.get_by_text("Sent to 2 cameras.")).to_be_visible()
    story.until(lambda: story.call("GET", "/drift")["rows"] == [])

    form.get_by_label("Labels").fill("car")
    form.get_by_role("button", name="Show what would change").click()
    page.get_by_test_id("send").click()
    story.until(lambda: any(row["why"] for row in story.call("GET", "/drift")["rows"]))
    page.get_by_role("button", name="Look again").click()
    row = page.get_by_test_id("drift-row")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("hall-1")
    expect(row).to_contain_text("the model does not know 'car'")

    form = page.get_by_test_id("put-profile")
    form.get_by_label("Profile").fill("event")
    form.get_by_label("Confidence").fill("0.5")
    form.get_by_role("button", name="Save").click()
    profile = page.get_by_test_id("profile")
    profile.get_by_role("button", name="Switch all to it").click()
    expect(profile.get_by_test_id("running")).to_have_text("2")

    def confidence() -> float:
        found = story.call("GET", "/nodes/road-1")["config"]
        return (
            found["document"]["cameras"]["cam0"]["confidence"] if found["applied"] == found["wanted"] else 0
        )

    story.until(lambda: confidence() == 0.5)
    picture(page, "settings")

    hook = Hook()
    story.call("PUT", "/alerts/outlets/duty", {"outlet": {"kind": "webhook", "url": hook.url}})
    rule = {"name": "A box is gone", "condition": {"kind": "offline"}, "hold_seconds": 0, "outlets": ["duty"]}
    story.call("POST", "/alerts", {**rule, "scope": {"nodes": ["road-1"]}})
    story.programs.kill("road-1")
    told = story.told_to(hook)
    assert "road-1" in json.dumps(told)
    assert told["signature"].startswith("v1,")

    tab(page, "Boxes")
    gone = page.locator('[data-testid="managed-node"][data-node="road-1"]')
    gone.get_by_role("button", name="Remove").click()
    gone.get_by_role("button", name="Remove road-1").click()
    expect(gone).to_have_count(0)

    tab(page, "People")
    form = page.get_by_test_id("add-user")
    form.get_by_label("Name").fill("vera")
    form.get_by_label("Password").fill(PASSWORD)
    form.get_by_role("button", name="Add").click()
    expect(page.locator('[data-testid="user"][data-user="vera"]')).to_be_visible()
    picture(page, "people")
    tab(page, "Audit")
    expect(page.get_by_test_id("audit-row").first).to_contain_text("add user vera")
    page.get_by_label("Search").fill("road-1")
    expect(page.get_by_test_id("audit-row").first).to_contain_text("remove node")
    picture(page, "audit")

    viewer = browser.new_context().new_page()
    log_in(viewer, story, "vera")
    viewer.get_by_role("link", name="Manage").click()
    expect(viewer.get_by_test_id("drift")).to_be_visible()
    for name in ("Boxes", "Audit"):
        expect(viewer.get_by_role("link", name=name, exact=True)).to_have_count(0)
    for part in ("many-form", "put-profile"):
        expect(viewer.get_by_test_id(part)).to_have_count(0)
    statuses = viewer.evaluate(
        """async () => Promise.all([
            ["GET", "users"], ["POST", "invitations"], ["DELETE", "nodes/hall-1"], ["GET", "audit"],
            ["POST", "settings"], ["POST", "nodes/hall-1/commands"], ["GET", "fleet"]
        ].map(async ([method, path]) => (await fetch(`api/v1/${path}`.replace(/^/, "../"), {
            method, body: method === "POST" ? "{}" : undefined })).status))"""
    )
    assert statuses == [403] * 6 + [200]
    assert wrong == []
    context.close()
