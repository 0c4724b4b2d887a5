"""The box's own page in a real browser, on a box that has no centre: a complete product for one place."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route, expect

from deploy.stack import free_port
from tests.integration.test_agent import gb_agent, running

PATIENCE = 90_000  # ms


def config(folder: Path, port: int) -> Path:
    path = folder / "agent.toml"
    path.write_text(
        f'node = "alone-1"\nstate_dir = "{folder / "state"}"\n[page]\nlisten = "127.0.0.1:{port}"\n'
        '[camera.cam0]\nsource = "scene:?seed=7"\n'
        "[camera.cam0.lines.main]\npoints = [[0.05, 0.62], [0.95, 0.62]]\n"
    )
    return path


def ask(url: str, token: str = "", method: str = "GET", **headers: str) -> tuple[int, bytes]:
    """Return the status and the body of a request."""
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method, headers=headers)) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def until_it_listens(url: str) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            assert ask(url)[0] == 200
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.3)
    pytest.fail("the page does not listen")


def with_power(route: Route) -> None:
    """Answer as a box does whose board has a sensor of its power."""
    answer = route.fetch()
    power = {"watts": 4.32, "of": "board", "joules_per_count": 31.5}
    route.fulfill(response=answer, json=answer.json() | {"power": power})


def test_a_box_without_a_centre_shows_itself_and_lets_a_line_be_drawn(
    tmp_path: Path, browser: Browser
) -> None:
    """The token that `status` prints opens the page; picture, states and counts are there; a line drawn there
    counts at once, and after a restart; nothing is told, shown or changed without the token; a mistyped
    address leads back.
    """
    page = browser.new_page(viewport={"width": 900, "height": 1200})
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    path = config(tmp_path, port)
    told: list[str] = []
    page.on("pageerror", lambda error: told.append(str(error)))
    with running(path):
        until_it_listens(url)
        printed = gb_agent("status", "--config", str(path)).stdout
        token = re.search(rf"page: 127\.0\.0\.1:{port}, token: (\S{{20,}})", printed)[1]  # type: ignore[index]
        assert printed.startswith("no centre: this box has not joined one\n")
        assert (tmp_path / "state" / "page-token").stat().st_mode & 0o077 == 0
        for way in ("api/box", "api/cameras/cam0/preview", "api/cameras/cam0/empty"):
            assert ask(url + way)[0] == 401
            assert ask(url + way, "wrong")[0] == 401
        assert ask(f"{url}api/cameras/cam0/lines/x", token, "DELETE")[0] == 403  # another site's form
        page.goto(f"{url}cameras/cam0")
        expect(page.get_by_role("heading", name="No such page")).to_be_visible()
        page.get_by_role("link", name="To the page of this box").click()
        expect(page).to_have_url(url)
        page.get_by_label("token").fill("wrong")
        page.get_by_role("button", name="Open").click()
        expect(page.get_by_role("alert").first).to_contain_text("that is not the token")
        page.goto("about:blank")
        page.goto(f"{url}#token={token}")
        expect(page.get_by_test_id("camera-state")).to_contain_text("ok", timeout=PATIENCE)
        expect(page.get_by_test_id("centre")).to_contain_text("no centre")
        assert token not in page.url
        expect(page.get_by_test_id("picture")).to_have_js_property("naturalWidth", 640, timeout=PATIENCE)
        page.get_by_label("name of the line").fill("gate")
        page.get_by_test_id("draw-line").click()
        box = page.get_by_test_id("drawing").bounding_box()
        assert box is not None
        for part in (0.1, 0.9):
            page.mouse.click(box["x"] + part * box["width"], box["y"] + 0.5 * box["height"])
        expect(page.get_by_test_id("said")).to_contain_text("counts from now on", timeout=PATIENCE)
        expect(page.get_by_test_id("departures")).to_contain_text("drawn", timeout=PATIENCE)
        drawn = json.loads(ask(f"{url}api/box", token)[1])["cameras"][0]["lines"]["gate"]
        assert [drawn[0][0], drawn[1][0]] == pytest.approx([0.1, 0.9], abs=0.02)
        expect(page.locator("polyline")).to_have_count(2, timeout=PATIENCE)
        assert ask(f"{url}api/cameras/cam0/empty", token)[0] in (200, 409)
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        page.route("**/api/box", with_power)
        said_power = "The board takes 4.3 W, 31.5 J a count since the start"
        expect(page.get_by_test_id("power")).to_have_text(said_power, timeout=PATIENCE)
        page.unroute_all(behavior="wait")
    page.close()
    assert told == []
    with running(path):
        until_it_listens(url)
        (camera,) = json.loads(ask(f"{url}api/box", token)[1])["cameras"]
        assert set(camera["lines"]) == {"main", "gate"}
        status, said = ask(f"{url}api/cameras/cam0/lines/none", token, "DELETE", **{"X-GB-Page": "1"})
        assert (status, json.loads(said)["error"]["message"]) == (409, "camera 'cam0' has no line 'none'")
