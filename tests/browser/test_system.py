"""The System page in a real Chromium: every part as charts, the disk in 30 days, and holes of a node."""

from __future__ import annotations

import os
import re

import msgspec
from playwright.sync_api import Locator, Page, Route, expect

from agent import wire
from tests.browser.conftest import Centre
from tests.browser.scripted import ScriptedNode, now_ms


def shot(page: Page, name: str) -> None:
    """Keep a picture of the page where a folder is named for it."""
    if folder := os.environ.get("GB_SHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def sample() -> wire.Resources:
    """Return what a node uses now that tells of no more than every node can."""
    return wire.Resources(now_ms(), "", 12, 40, 5_000_000, 30, 20, 51, 0, 0, False, {"cam0": 98})


def machine_without(page: Page, centre: Centre, node: ScriptedNode, chart: str) -> Locator:
    """Open a node's page that has no such chart yet; return its charts."""
    node.camera()
    node.send(sample())
    page.goto(f"{centre.url}/nodes/{node.name}")
    machine = page.get_by_test_id("resources")
    expect(machine.get_by_role("heading", name="CPU", exact=True)).to_be_visible()
    expect(machine.get_by_role("heading", name=chart, exact=True)).to_have_count(0)
    return machine


def test_the_system_page_shows_every_part(page: Page, centre: Centre, node: ScriptedNode) -> None:
    """Aggregators, broker, database and nodes each have charts with figures of now; 30 days come later."""
    node.camera()
    node.send(sample())
    page.get_by_role("link", name="System").click()
    found = page.get_by_test_id("system-page")
    expect(found.get_by_test_id("system-chart")).to_have_count(14)
    for part in ("Aggregators", "Broker", "Database", "Nodes"):
        expect(found.get_by_role("heading", name=part, exact=True)).to_be_visible()
    expect(found.get_by_role("img", name=re.compile(r"^Aggregators, Memory, now \d+ MB$"))).to_be_visible()
    expect(found.get_by_role("img", name=re.compile(r"^Database, Disk, now \d+ [kM]B$"))).to_be_visible()
    disk = found.get_by_test_id("system-disk")
    expect(disk).to_contain_text(re.compile(r"Database on disk\d+ [kM]B"))
    expect(disk).to_contain_text("known after an hour of measuring")
    shot(page, "system")
    page.get_by_label("Time").select_option("last 30 days")
    expect(found.get_by_test_id("system-chart")).to_have_count(14)
    page.reload()
    expect(found.get_by_test_id("system-chart")).to_have_count(14)
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shot(page, "phone")


def test_gpus_have_a_chart_where_a_node_tells_of_one(page: Page, centre: Centre, node: ScriptedNode) -> None:
    """A fleet without GPUs has no empty chart of them; with one there is its use, on its node's page too."""
    machine = machine_without(page, centre, node, "GPU")
    node.send(msgspec.structs.replace(sample(), gpu_percent=83))
    chart = machine.locator("section", has=page.get_by_role("heading", name="GPU", exact=True))
    expect(chart).to_contain_text("83 %")
    shot(page, "gpu-node")

    def with_gpus(route: Route) -> None:
        answer = route.fetch().json()
        for row in answer["rows"]:
            row["nodes"] = {**(row["nodes"] or {}), "gpu_percent": 40.5, "gpu_percent_most": 83}
        route.fulfill(json=answer)

    page.route("**/api/v1/system?*", with_gpus)
    page.get_by_role("link", name="System").click()
    found = page.get_by_test_id("system-page")
    expect(found.get_by_test_id("system-chart")).to_have_count(15)
    expect(found.get_by_role("img", name=re.compile("^Nodes, GPU, now mean .* busiest 83"))).to_be_visible()
    shot(page, "gpu-system")
    page.unroute_all(behavior="wait")


def test_the_power_of_a_box_has_a_chart_where_its_board_tells(
    page: Page, centre: Centre, node: ScriptedNode
) -> None:
    """Watts of the last hour and joules a count stand on the node's page; who tells nothing has no chart."""
    machine = machine_without(page, centre, node, "Power")
    for watts in (8420, 9130):
        node.send(msgspec.structs.replace(sample(), power=wire.Power(watts, True, 315)))
    chart = machine.locator("section", has=page.get_by_role("heading", name="Power", exact=True))
    expect(chart).to_contain_text("9.1 W")
    expect(chart).to_contain_text("31.5 J a count since the agent")
    shot(page, "power-node")


def test_a_hole_in_what_a_node_sent_is_shown_until_it_is_filled(
    page: Page, centre: Centre, node: ScriptedNode
) -> None:
    """Batches between others that the database lacks are told on the node's page; none where all is there."""
    node.camera()
    node.send(wire.CameraState(now_ms(), "cam0", "ok", ""))
    page.goto(f"{centre.url}/nodes/{node.name}")
    gap = page.get_by_test_id("delivery-gap")
    expect(page.get_by_role("heading", name=node.name)).to_be_visible()
    expect(gap).to_have_count(0)
    node.lose(3)
    node.send(wire.CameraState(now_ms(), "cam0", "ok", ""))
    page.reload()
    expect(gap).to_contain_text(re.compile("3 batches of the node.s start"), timeout=40_000)
    shot(page, "gap")
