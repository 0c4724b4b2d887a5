"""The alerts' page in a real Chromium: a rule and an outlet by hand, a box that goes, a toast, a badge."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Centre
from tests.browser.scripted import ScriptedNode


class Receiver(ThreadingHTTPServer):
    """Takes webhooks."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        super().__init__(("127.0.0.1", 0), _Take)


class _Take(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.server.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server that takes webhooks."""
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def make_outlet(page: Page, receiver: Receiver) -> None:
    """Make the outlet `duty` by hand."""
    page.get_by_test_id("new-outlet").click()
    form = page.get_by_test_id("outlet-form")
    form.locator("[data-field=outlet-name]").fill("duty")
    form.locator("[data-field=outlet-address]").fill(f"http://127.0.0.1:{receiver.server_port}/hook")
    page.get_by_test_id("save-outlet").click()
    expect(page.get_by_test_id("secret")).to_contain_text("whsec_")
    outlet = page.get_by_test_id("outlet")
    outlet.get_by_role("button", name="Send a test").click()
    expect(outlet).to_contain_text("The test message was accepted.")
    assert receiver.got.pop()["type"] == "alert.test"


def test_an_alert_from_the_rule_to_its_end(
    page: Page, centre: Centre, node: ScriptedNode, receiver: Receiver, tmp_path: Path
) -> None:
    """A person makes outlet and rule; a box goes; badge, toast and webhook tell it; it ends."""
    node.camera()
    expect(page.locator(f"[data-node={node.name}]")).to_be_visible()
    page.get_by_test_id("alerts-link").click()
    expect(page.get_by_role("heading", name="Alerts", exact=True)).to_be_visible()
    make_outlet(page, receiver)
    page.get_by_test_id("new-rule").click()
    form = page.get_by_test_id("rule-form")
    form.locator("[data-field=hold]").fill("soon")
    page.get_by_test_id("save-rule").click()
    expect(form).to_contain_text("Give the rule a name.")
    form.locator("[data-field=name]").fill("<b>A box</b> is gone")
    form.locator("[data-field=hold]").fill("0")
    form.get_by_text("Only some of them").click()
    form.locator("[data-field=scope-nodes]").fill(node.name)
    form.get_by_label("duty").check()
    page.get_by_test_id("save-rule").click()
    rule = page.get_by_test_id("rule")
    expect(rule).to_contain_text("<b>A box</b> is gone")
    rule.get_by_role("button", name="Test").click()
    expect(rule.get_by_test_id("tested")).to_contain_text("Nothing matches this rule now.")
    node.vanish()
    expect(page.get_by_test_id("alerts-badge")).to_have_text("1")
    expect(page.get_by_test_id("toast")).to_contain_text(f"{node.name} is offline")
    alert = page.get_by_test_id("alert").first
    expect(alert).to_contain_text("duty: opened sent", timeout=40_000)
    page.screenshot(path=str(tmp_path / "alerts.png"), full_page=True)
    assert [one["type"] for one in receiver.got] == ["alert.test", "alert.opened"]
    alert.get_by_test_id("acknowledge").click()
    expect(alert).to_contain_text("acknowledged by token")
    expect(page.get_by_test_id("alerts-badge")).to_have_count(0)
    with ScriptedNode(centre.stack.mqtt_url, node.name) as back:
        back.camera()
        expect(page.locator("[data-testid=alert][data-state=closed]")).to_contain_text("all clear")
        expect(page.locator("[data-testid=alert][data-state=closed]")).to_contain_text("closed sent")
    assert receiver.got[-1]["type"] == "alert.closed"


def test_a_viewer_sees_alerts_and_changes_nothing(page: Page, centre: Centre) -> None:
    """No button to make, test, take on or close anything; the outlets are not shown."""
    centre.add_user("vera", "a long password", "viewer")
    page.get_by_role("button", name="Log out").click()
    page.get_by_text("Use a name and password").click()
    page.locator("input[name=user]").fill("vera")
    page.locator("input[name=password]").fill("a long password")
    page.get_by_role("button", name="Log in").click()
    page.get_by_test_id("alerts-link").click()
    expect(page.get_by_role("heading", name="Rules")).to_be_visible()
    expect(page.get_by_role("heading", name="Outlets")).to_have_count(0)
    for name in ("New rule", "Test", "Delete", "Acknowledge", "Close"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
