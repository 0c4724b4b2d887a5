"""Settings by the page: seen before they are sent, drifting, and replaced by the clock or by hand."""

from __future__ import annotations

import time
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import Centre
from tests.browser.scripted import ScriptedNode


def until(condition: Callable[[], bool], seconds: float = 90.0) -> None:
    """Wait until something holds, or fail."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def test_a_profile_runs_by_the_clock_and_one_by_hand_wins(
    page: Page, centre: Centre, node: ScriptedNode
) -> None:
    """What would change is shown first; hours of now replace it, a switch by hand replaces those, and the
    clock comes back; what a box refuses stands under what drifts, with its reason.
    """

    def runs(confidence: float) -> None:
        until(lambda: node.config.document.cameras["cam0"].confidence == confidence)

    node.camera()
    page.goto(f"{centre.url}/manage/settings")
    many = page.get_by_test_id("many-form")
    many.get_by_label("Nodes").fill(node.name)
    many.get_by_label("Confidence").fill("0.35")
    many.get_by_role("button", name="Show what would change").click()
    expect(page.get_by_test_id("difference")).to_contain_text("confidence: 0.25 0.35")
    assert node.config.document.cameras["cam0"].confidence == 0.25, "nothing is sent before"
    page.get_by_test_id("send").click()
    runs(0.35)

    form = page.get_by_test_id("put-profile")
    form.get_by_label("Profile").fill("day")
    form.get_by_label("Confidence").fill("0.6")
    form.get_by_label("From").fill("00:00")
    form.get_by_label("To").fill("00:00")
    form.get_by_role("button", name="Save").click()
    runs(0.6)
    form.get_by_label("Profile").fill("event")
    form.get_by_label("Confidence").fill("0.7")
    form.get_by_role("button", name="Save").click()
    event = page.locator('[data-testid=profile][data-profile="event"]')
    event.get_by_role("button", name="Switch all to it").click()
    runs(0.7)
    page.get_by_role("button", name="Back to the clock").click()
    runs(0.6)
    for name in ("day", "event"):
        profile = page.locator(f'[data-testid=profile][data-profile="{name}"]')
        profile.get_by_role("button", name="Remove").click()
        profile.get_by_role("button", name=f"Remove {name}").click()
        expect(profile).to_have_count(0)
    runs(0.35)

    node.refuses = "cam0, camera: the model does not know 'ship'"
    many.get_by_label("Nodes").fill(node.name)
    many.get_by_label("Labels").fill("ship")
    many.get_by_role("button", name="Show what would change").click()
    page.get_by_test_id("send").click()
    drift = page.get_by_test_id("drift-row")
    until(lambda: node.config.error != "")
    page.get_by_role("button", name="Look again").click()
    expect(drift).to_contain_text("the model does not know 'ship'")
    expect(drift).to_contain_text(node.name)
