"""What an administrator does with boxes on the page: a copy decided, a camera added, a node renamed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import msgspec
import paho.mqtt.client as paho
from playwright.sync_api import Page, expect

from agent import wire
from deploy.stack import die_with_parent
from tests.browser.conftest import Centre
from tests.browser.scripted import ScriptedNode, now_ms
from tests.integration.test_box_cameras import allowing


class Twin(ScriptedNode):
    """A node that says from which start of its agent it speaks."""

    start = 7

    def _publish_state(self, online: bool) -> paho.MQTTMessageInfo:
        state = wire.State(
            self.name, online, now_ms(), epoch=self.start, cameras=self.cameras, config=self.config
        )
        topic = wire.topic(self.name, "state")
        return self._client.publish(topic, msgspec.json.encode(state), 1, retain=True)


def test_one_click_says_which_of_two_boxes_is_the_box(page: Page, centre: Centre) -> None:
    """The page says that there are two, and what counts; after the click it says nothing any more."""
    with Twin(centre.stack.mqtt_url, f"twin-{time.monotonic_ns() % 10**9}") as node:
        for start in (7, 9, 7):
            node.start = start
            node.camera()
            time.sleep(0.3)  # each is a state of its own
        page.goto(f"{centre.url}/nodes/{node.name}")
        choice = page.get_by_test_id("copy-choice")
        expect(choice).to_contain_text(
            "Start 7 was there first and counts; start 9 is kept out of the counts"
        )
        choice.get_by_role("button", name="Start 7 is the box").click()
        expect(choice).to_have_count(0)
        expect(page.get_by_text("kept out of the counts")).to_have_count(0)
        expect(page.get_by_text("Two boxes send under this name")).to_have_count(0)


def test_a_camera_is_added_on_the_page_and_its_box_renamed(
    page: Page, centre: Centre, tmp_path: Path
) -> None:
    """A real agent tries it, refuses what gives no picture, counts with the rest, and takes another name."""
    config = allowing(tmp_path / "box", centre.stack.mqtt_url, "page-1")
    with (tmp_path / "log").open("wb") as log:
        command = [sys.executable, "-m", "agent", "run", "--config", str(config)]
        agent = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=die_with_parent)
    try:
        page.goto(centre.url)
        expect(page.locator('[data-testid=node-card][data-node="page-1"]')).to_be_visible(timeout=180_000)
        page.goto(f"{centre.url}/nodes/page-1")
        setup = page.get_by_test_id("camera-setup")
        expect(setup.get_by_test_id("own-camera")).to_contain_text("scene:?seed=7")
        form = setup.get_by_test_id("put-camera")
        form.get_by_label("Name of the new camera").fill("back")
        form.get_by_label("Source address").fill("rtsp://anna:hunter2@127.0.0.1:9/x")
        form.get_by_role("button").click()
        expect(setup.get_by_role("alert")).to_contain_text("connection refused", timeout=180_000)
        assert "hunter2" not in page.content()
        form.get_by_label("Name of the new camera").fill("back")
        form.get_by_label("Source address").fill("scene:?seed=3")
        form.get_by_role("button").click()
        expect(setup.get_by_test_id("camera-told")).to_contain_text("back gives", timeout=180_000)
        expect(setup.get_by_test_id("own-camera")).to_have_count(2, timeout=180_000)
        studies = page.get_by_test_id("studies")
        beside = studies.get_by_test_id("run-model")
        beside.get_by_label("Seconds").select_option("20")
        beside.get_by_label("Model").fill("traffic-int8")
        beside.get_by_role("button").click()
        expect(studies.get_by_role("status")).to_contain_text("observes for 20 seconds")
        expect(page.get_by_test_id("study-told")).to_contain_text("gb-yolo-n-traffic-int8", timeout=180_000)
        page.goto(f"{centre.url}/manage/boxes")
        rename = page.get_by_test_id("rename-node")
        rename.get_by_label("Node").select_option("page-1")
        rename.get_by_label("Its new name").fill("page-2")
        rename.get_by_role("button", name="Rename").click()
        expect(page.locator('[data-testid=managed-node][data-node="page-2"]')).to_be_visible(timeout=180_000)
        expect(page.locator('[data-testid=managed-node][data-node="page-1"]')).to_have_count(0)
    finally:
        agent.terminate()
        agent.wait()
