"""The page behind a real nginx, below a path of its own: everything that it loads and links lies there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from tests.browser.conftest import Centre
from tests.browser.scripted import ScriptedNode
from tests.browser.test_dashboard import card, count
from tests.proxies import documented, nginx


@pytest.fixture
def proxy(centre: Centre, tmp_path: Path) -> Iterator[str]:
    """The address of the page: /fleet/ of an nginx with the lines of the documentation."""
    service = nginx(tmp_path, documented("nginx", "location /fleet/ {", centre.url))
    service.start()
    yield f"http://127.0.0.1:{service.port}/fleet/"
    service.kill()


def log_in(page: Page, centre: Centre) -> None:
    """Fill the form in."""
    page.get_by_label("Token").fill(centre.options.token)
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.get_by_test_id("link")).to_have_text("Live")


def test_the_whole_page_works_below_a_path(
    browser: Browser, centre: Centre, proxy: str, node: ScriptedNode
) -> None:
    """Login, counts, a reload, drawing and logout work, and no request leaves /fleet/."""
    node.camera()
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request))
    page.goto(proxy)
    log_in(page, centre)
    (cookie,) = context.cookies()
    assert (cookie["name"], cookie["path"]) == ("gb_session", "/fleet/")
    expect(card(page, node)).to_have_attribute("data-state", "online")
    node.cross(1)
    expect(count(card(page, node))).to_have_text("1")
    card(page, node).get_by_role("link", name=node.name).click()
    assert page.url == f"{proxy}nodes/{node.name}"
    page.reload()
    expect(page.get_by_role("heading", name=node.name)).to_be_visible()
    node.cross(2)
    expect(count(page)).to_have_text("2")
    page.get_by_test_id("draw-line").click()
    frame = page.get_by_test_id("picture").bounding_box()
    assert frame
    for x in (0.3, 0.7):
        page.mouse.click(frame["x"] + x * frame["width"], frame["y"] + 0.5 * frame["height"])
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_test_id("config-state")).to_have_attribute("data-wanted", "1")
    page.get_by_role("link", name="Fleet", exact=False).first.click()
    expect(card(page, node)).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Token")).to_be_visible()
    assert context.cookies() == []
    assert [one.url for one in asked if not one.url.startswith((proxy, "blob:", "data:"))] == []
    context.close()


def test_without_its_slash_the_path_leads_to_the_page(browser: Browser, centre: Centre, proxy: str) -> None:
    """/fleet is sent on to /fleet/, and the token in the address survives it."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{proxy.rstrip('/')}#token={centre.options.token}")
    expect(page.get_by_test_id("link")).to_have_text("Live")
    assert page.url == proxy
    context.close()


def test_a_mistyped_address_leads_back_below_a_path(browser: Browser, centre: Centre, proxy: str) -> None:
    """At whatever depth: a page of the project's look, light and dark, that leads to the fleet; 404."""
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    for base in (proxy, f"{centre.url}/"):
        for path in ("nosuch", "nodes/gate-07/cam0"):
            grounds = set()
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                answer = page.goto(base + path)
                assert answer is not None
                assert answer.status == 404
                grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
            assert grounds == {"rgb(244, 246, 246)", "rgb(13, 19, 20)"}
            expect(page.get_by_role("heading", name="No such page")).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
            page.get_by_role("link", name="To the fleet").click()
            expect(page).to_have_url(base)
            expect(page.get_by_label("Token")).to_be_visible()
    context.close()
