"""A fleet of 10,000 nodes at one centre, all on this machine: pages of the API, first cards, scrolling.

    python -m benchmarks.large_fleet [--nodes N]

A mosquitto, a mongod, `gb-aggregator run` and `gb-aggregator simulate` (real wire, a batch a node and
minute). When every node is known: 200 pages of 100 nodes in every order and from random places; then Chromium
opens the page, and scrolls through it while its frames are counted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import sync_playwright

from benchmarks.figures import leave
from deploy.stack import Stack, die_with_parent, free_port

TOKEN = "a-token-of-the-benchmark"
SORTS = ("name", "urgency", "-cpu", "seen", "-memory", "-since")
_PAGES = 200
_KNOWN_SECONDS = 180.0
_SCROLL_SECONDS = 6.0
_SCROLL = """async seconds => {
  const begun = performance.now();
  const frames = [];
  while (performance.now() - begun < seconds * 1000) {
    const at = await new Promise(requestAnimationFrame);
    frames.push(at);
    window.scrollBy(0, 120);
    const end = document.documentElement.scrollHeight - 10;
    if (window.scrollY + window.innerHeight >= end) window.scrollTo(0, 0);
  }
  return (frames.length - 1) / (frames[frames.length - 1] - frames[0]) * 1000;
}"""


@contextlib.contextmanager
def running(folder: Path, nodes: int) -> Iterator[tuple[str, psutil.Process]]:
    """Run a centre and its fleet; give the centre's address and process."""
    with Stack(folder / "stack") as stack:
        port = free_port()
        config = folder / "aggregator.toml"
        config.write_text(
            f'[broker]\nurl = "{stack.mqtt_url}"\n[mongodb]\nuri = "{stack.mongodb_uri}"\n'
            f'database = "large"\n[http]\nport = {port}\ntoken = "{TOKEN}"\n'
        )
        command = [sys.executable, "-m", "aggregator"]
        quiet: dict[str, Any] = {"preexec_fn": die_with_parent, "stderr": subprocess.DEVNULL, "text": True}
        centre = subprocess.Popen([*command, "run", "--config", str(config)], stdout=subprocess.PIPE, **quiet)
        assert centre.stdout
        centre.stdout.readline()
        fleet = subprocess.Popen(
            [*command, "simulate", "--nodes", str(nodes), "--config", str(config)],
            stdout=subprocess.DEVNULL, **quiet,
        )  # fmt: skip
        try:
            yield f"http://127.0.0.1:{port}", psutil.Process(centre.pid)
        finally:
            for process in (fleet, centre):
                process.terminate()
                process.wait(20)


def ask(url: str, path: str) -> tuple[float, dict[str, Any]]:
    """Return the seconds that a question took, and its answer."""
    request = urllib.request.Request(f"{url}/api/v1{path}", headers={"Authorization": f"Bearer {TOKEN}"})
    begun = time.monotonic()
    with urllib.request.urlopen(request, timeout=60) as response:
        body = response.read()
    return time.monotonic() - begun, json.loads(body)


def until_known(url: str, nodes: int) -> float:
    """Wait until the centre knows every node; return the seconds."""
    begun = time.monotonic()
    while ask(url, "/fleet?limit=1")[1]["summary"]["online"] < nodes:
        if time.monotonic() - begun > _KNOWN_SECONDS:
            raise SystemExit(f"not all {nodes} nodes are known after {_KNOWN_SECONDS:.0f} s")
        time.sleep(1)
    return time.monotonic() - begun


def pages(url: str, nodes: int) -> list[float]:
    """Return the seconds of pages in all orders, sorted."""
    chance = random.Random(1)
    taken = []
    for number in range(_PAGES):
        sort = SORTS[number % len(SORTS)]
        offset = chance.randrange(max(1, nodes - 100))
        taken.append(ask(url, f"/fleet?sort={sort}&limit=100&offset={offset}")[0])
        time.sleep(0.05)
    return sorted(taken)


def browse(url: str, shot: Path) -> tuple[float, float]:
    """Return the seconds to the first cards, and the frames a second while the page is scrolled."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.goto(f"{url}/#token={TOKEN}")
        page.wait_for_selector("[data-testid=node-card]")
        opened = []
        for _ in range(3):
            page.goto("about:blank")
            begun = time.monotonic()
            page.goto(f"{url}/", wait_until="commit")
            page.wait_for_selector("[data-testid=node-card]")
            opened.append(time.monotonic() - begun)
        page.wait_for_timeout(1500)
        page.screenshot(path=str(shot))
        fps = float(page.evaluate(_SCROLL, _SCROLL_SECONDS))
        browser.close()
    return sorted(opened)[1], fps


def measure(nodes: int = 10_000, shot: Path = Path(os.devnull)) -> dict[str, float]:
    """Return the figures by their names."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), nodes) as (url, centre):
        known = until_known(url, nodes)
        taken = pages(url, nodes)
        first_cards, fps = browse(url, shot if shot != Path(os.devnull) else Path(folder) / "page.png")
        return {
            "fleet_10000_known_s": round(known, 1),
            "fleet_10000_p50_ms": round(1000 * taken[len(taken) // 2], 1),
            "fleet_10000_p95_ms": round(1000 * taken[int(0.95 * len(taken))], 1),
            "first_cards_s": round(first_cards, 2),
            "fleet_scroll_fps": round(fps, 1),
            "aggregator_mb": round(centre.memory_info().rss / 2**20, 1),
        }


def main() -> None:
    """Measure, print, and add the figures to BENCH_JSON."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--nodes", type=int, default=10_000)
    words.add_argument("--shot", type=Path, default=Path(os.devnull), help="where a picture of the page goes")
    arguments = words.parse_args()
    figures = measure(arguments.nodes, arguments.shot)
    print(json.dumps(figures))
    leave(figures, beside=True)


if __name__ == "__main__":
    main()
