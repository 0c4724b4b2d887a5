"""From a camera to a person and back: real camera stream, agent, broker, database, centre, browser."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from agent.street.scene import DEFAULT_LINE
from deploy.demo import agent_toml
from tests.browser.camera import StreetCamera
from tests.browser.conftest import Centre

NODE = "road-1"
MODEL = Path(__file__).parents[2] / "agent" / "models" / "gb-yolo-n-traffic.onnx"
PATIENCE = 60_000  # ms: the street decides when the next car comes


@pytest.fixture(scope="module")
def camera() -> Iterator[StreetCamera]:
    """A network camera on the built-in street."""
    with StreetCamera(seed=3) as camera:
        yield camera


@pytest.fixture(scope="module")
def box(centre: Centre, camera: StreetCamera, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command line of a real agent that watches the camera."""
    if not MODEL.exists():
        pytest.skip(f"no model at {MODEL}")
    source = {
        "source": camera.url,
        "model": "traffic",
        "lines": {"main": {"points": [*map(list, DEFAULT_LINE)]}},
    }
    config = agent_toml(tmp_path_factory.mktemp("box"), NODE, centre.stack.mqtt_url, source)
    return ["agent", "run", "--config", str(config)]


def test_whole_road_without_a_reload(
    page: Page, centre: Centre, camera: StreetCamera, box: list[str]
) -> None:
    """A node comes online, counts move, a drawn line counts, camera and centre go and come back."""
    page.evaluate("window.neverReloaded = true")
    centre.processes.start(NODE, *box)
    card = page.locator(f"[data-testid=node-card][data-node={NODE}]")
    expect(card).to_have_attribute("data-state", "online", timeout=PATIENCE)
    expect(card.get_by_test_id("camera-state")).to_have_text("ok", timeout=PATIENCE)
    expect(card.get_by_test_id("line-count").first).to_have_text(re.compile("[1-9]"), timeout=PATIENCE)

    card.get_by_role("link", name=NODE).click()
    expect(page.get_by_test_id("picture")).to_have_attribute("data-live", "true", timeout=PATIENCE)
    page.get_by_test_id("draw-line").click()
    frame = page.get_by_test_id("picture").bounding_box()
    assert frame
    for x in (0.1, 0.9):
        page.mouse.click(frame["x"] + x * frame["width"], frame["y"] + 0.55 * frame["height"])
    page.get_by_test_id("line-name").fill("drawn")
    page.get_by_test_id("save-line").click()
    expect(page.get_by_test_id("config-state")).to_have_text("The node runs version 1.")
    drawn = page.locator('[data-testid=line-count][data-line="drawn"]')
    expect(drawn.filter(has_text=re.compile("[1-9]")).first).to_be_visible(timeout=PATIENCE)

    state = page.get_by_test_id("camera-state")
    camera.unplug()
    expect(state).to_have_text(re.compile("absent|stalled"), timeout=30_000)
    camera.plug()
    expect(state).to_have_text("ok", timeout=30_000)

    centre.kill()
    expect(page.get_by_test_id("connection-lost")).to_be_visible()
    centre.start()
    expect(page.get_by_test_id("connection-lost")).to_be_hidden(timeout=30_000)
    expect(page.get_by_test_id("picture")).to_have_attribute("data-live", "true", timeout=30_000)
    expect(page.get_by_test_id("config-state")).to_have_text("The node runs version 1.")
    before = total(page)
    page.wait_for_function(COUNTED_MORE_THAN, arg=before, timeout=PATIENCE)

    agent = centre.processes.running.pop(NODE)
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(15) == 0
    expect(page.get_by_test_id("node-state")).to_contain_text("offline")
    assert page.evaluate("window.neverReloaded") is True


COUNTED_MORE_THAN = """before => [...document.querySelectorAll('[data-testid=line-count]')]
    .reduce((sum, one) => sum + parseInt(one.textContent.replace(/,/g, '')), 0) > before"""


def total(page: Page) -> int:
    """Return the sum of all counts on the page."""
    return sum(int(text.replace(",", "")) for text in page.get_by_test_id("line-count").all_inner_texts())
