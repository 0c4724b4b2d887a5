"""A fleet of hundreds: real centre, real wire, real Chromium. Pages of the API; a list of what is visible."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from playwright.sync_api import expect, sync_playwright

from deploy.stack import Stack, die_with_parent
from tests.integration.box import TOKEN
from tests.integration.test_several import aggregators

pytestmark = pytest.mark.alone

ROOT = Path(__file__).parents[2]
NODES = 300


@pytest.fixture(scope="module")
def url(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a centre that knows a simulated fleet."""
    folder = tmp_path_factory.mktemp("large")
    with aggregators(folder, stack, "large_fleet", 1) as (centre,):
        config = folder / "aggregator-0" / "aggregator.toml"
        fleet = subprocess.Popen(
            [
                sys.executable, "-m", "aggregator", "simulate", "--nodes", str(NODES),
                "--config", str(config), "--interval", "5", "--connections", "20",
            ],
            cwd=ROOT, stdout=subprocess.DEVNULL, preexec_fn=die_with_parent,
        )  # fmt: skip
        deadline = time.monotonic() + 30
        while ask(centre.url, "/fleet?limit=1")["summary"]["online"] < NODES:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield centre.url
        fleet.terminate()
        fleet.wait()


def ask(url: str, path: str) -> dict[str, Any]:
    """Return the API's answer."""
    request = urllib.request.Request(f"{url}/api/v1{path}", headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=20) as response:
        return dict(json.load(response))


@pytest.mark.parametrize("sort", ["name", "-name"])
def test_pages_put_together_are_all_nodes_once(url: str, sort: str) -> None:
    """In a steady order by `after`, each node is on one page, and the last page says that it is the last."""
    names: list[str] = []
    query = f"/fleet?sort={sort}&limit=70"
    after = ""
    for _ in range(5):
        page = ask(url, query + (f"&after={after}" if after else ""))
        names += [node["node"] for node in page["nodes"]]
        after = page["next"]
        assert page["summary"]["total"] == NODES
    assert after == ""
    assert names == sorted(names, reverse=sort == "-name")
    assert len(names) == NODES


def test_orders_by_what_changes(url: str) -> None:
    """The busiest, the hottest and the longest silent come first, whatever page they would be on by name."""
    for sort, field in (("-cpu", "cpu_percent"), ("-temperature", "temperature"), ("seen", "last_seen")):
        rows = [node[field] or 0 for node in ask(url, f"/fleet?sort={sort}&limit=50")["nodes"]]
        steps = [(b - a) * (-1 if sort[0] == "-" else 1) for a, b in pairwise(rows)]
        assert sum(step < 0 for step in steps) <= 10, "some may have changed since they were ordered"


def test_what_is_asked_for_is_filtered_first(url: str) -> None:
    """Search and state choose before the page is cut; what makes no sense is refused in a sentence."""
    found = ask(url, "/fleet?q=sim-00&limit=5&offset=3")
    assert [node["node"] for node in found["nodes"]] == [f"sim-00{n}" for n in range(4, 9)]
    assert found["summary"]["total"] == 9
    assert found["offset"] == 3
    assert ask(url, "/fleet?state=offline")["nodes"] == []
    assert len(ask(url, "/fleet")["nodes"]) == NODES, "without a limit it is all of them, as before"
    for wrong in ("sort=colour", "offset=-1", "after=nobody", "limit=0"):
        with pytest.raises(HTTPError) as refused:
            ask(url, f"/fleet?{wrong}")
        assert refused.value.code == 400
        refused.value.close()


def test_the_page_draws_what_is_visible(url: str) -> None:
    """Of 300 nodes some dozen lines are drawn; the end is there when one scrolls; search goes over all."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 800})
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(f"{url}/#token={TOKEN}")
        cards = page.locator("[data-testid=node-card]")
        expect(cards.first).to_be_visible()
        assert 10 < cards.count() < 60
        page.get_by_label("Order").select_option("name")
        expect(cards.first).to_have_attribute("data-node", "sim-001")
        page.evaluate("window.scrollTo(0, document.documentElement.scrollHeight)")
        expect(page.locator("[data-node=sim-300]")).to_be_visible()
        assert cards.count() < 60
        page.get_by_label("Find a node").fill("sim-12")
        expect(page.get_by_test_id("found")).to_have_text("10 nodes")
        expect(cards).to_have_count(10)
        seen = page.locator("[data-node=sim-123] [data-testid=age]")
        expect(seen).to_be_visible()
        page.locator("[data-node=sim-123] a").click()
        expect(page.get_by_role("heading", name="sim-123")).to_be_visible()
        page.go_back()
        expect(cards.first).to_be_visible()
        browser.close()
    assert problems == []
