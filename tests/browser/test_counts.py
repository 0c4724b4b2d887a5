"""The page of counts in a real Chromium: any days, all nodes, and the same as CSV."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from playwright.sync_api import Locator, Page, expect

from agent import wire
from tests.browser.conftest import Centre
from tests.browser.scripted import ScriptedNode, now_ms

DAY = 86_400_000


def crossing(at: int, total: int) -> wire.Crossing:
    """Return a crossing of `main`."""
    return wire.Crossing(at, "cam0", "main", 1, "AB", "car", total, total, 90)


def inked(bars: Locator) -> int:
    """Return how many pixels have the colour of cars."""
    script = """(panel) => {
      const canvas = panel.querySelector("canvas");
      const probe = panel.querySelector(".key i");
      const ink = getComputedStyle(probe).backgroundColor.match(/\\d+/g).map(Number);
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      let found = 0;
      for (let at = 0; at < data.length; at += 4)
        if (ink.every((part, i) => data[at + i] === part)) found++;
      return found;
    }"""
    return int(bars.evaluate(script))


def test_counts_of_any_days_of_all_nodes(page: Page, centre: Centre, node: ScriptedNode) -> None:
    """Thirty days at first; from two months ago there is more; the CSV has the same rows, node by node."""
    node.camera()
    node.send(crossing(now_ms() - 40 * DAY, 1), crossing(now_ms() - DAY, 2), crossing(now_ms() - DAY, 3))
    page.get_by_role("link", name="Counts").click()
    found = page.get_by_test_id("counts-page")
    expect(found).to_contain_text("2 crossings in 1 rows")
    expect(found.locator("select").first).to_have_value("day")
    bars = page.get_by_test_id("counts-bars")
    expect(bars).to_contain_text("car 2")
    assert inked(bars) > 20, "a bar of one day of thirty"
    first = datetime.now(UTC) - timedelta(days=80)
    page.get_by_label("From").fill(f"{first:%Y-%m-%d}")
    expect(found).to_contain_text("3 crossings in 2 rows")
    expect(bars).to_contain_text("car 3")
    expect(found.locator("select").first).to_have_value("week")
    page.get_by_label("each node for itself").check()
    expect(found.locator("tbody tr").first).to_contain_text(node.name)
    if folder := os.environ.get("GB_SHOTS"):
        page.screenshot(path=f"{folder}/counts.png")
    link = found.get_by_role("link", name="CSV").get_attribute("href")
    lines = page.request.get(f"{centre.url}{link}").text().splitlines()
    assert lines[0] == "start,node,camera,line,version,direction,label,count,watched_seconds"
    assert [line.split(",")[1:8] for line in lines[1:]] == [
        [node.name, "cam0", "main", "1", "AB", "car", count] for count in ("1", "2")
    ]
    page.get_by_label("From").fill("2030-01-01")
    expect(page.get_by_role("alert")).to_contain_text("after the last one")
