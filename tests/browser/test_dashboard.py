"""The dashboard in a real browser, against a real centre and nodes on a real broker."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence

import msgspec
import pymongo
import pytest
from playwright.sync_api import APIResponse, Browser, Locator, Page, Route, expect

from agent import wire
from tests.browser.conftest import Centre
from tests.browser.scripted import ScriptedNode, now_ms

HOSTILE = "<img src=x onerror=document.title='broken'>"


def card(page: Page, node: ScriptedNode) -> Locator:
    """Return the node's card on the fleet page."""
    return page.locator(f"[data-testid=node-card][data-node={node.name}]")


def count(place: Page | Locator, direction: str = "AB", line: str = "main") -> Locator:
    """Return the number that a line shows for one direction."""
    return place.locator(f'[data-testid=line-count][data-line="{line}"][data-direction={direction}]')


def open_node(page: Page, node: ScriptedNode) -> None:
    """Follow the link on the node's card."""
    card(page, node).get_by_role("link", name=node.name).click()
    expect(page.get_by_role("heading", name=node.name)).to_be_visible()


def mark(page: Page) -> None:
    """Remember this very page: a reload would forget the mark."""
    page.evaluate("window.neverReloaded = true")


def assert_never_reloaded(page: Page) -> None:
    """Assert that the page is still the marked one."""
    assert page.evaluate("window.neverReloaded") is True


def keep_alive(page: Page, act: Callable[[], None], done: Callable[[], bool], seconds: float = 10) -> None:
    """Repeat `act` until `done`, as a node does that sends live frames."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not happen"
        act()
        page.wait_for_timeout(100)


def test_token_in_the_address_logs_in_and_disappears(page: Page, centre: Centre) -> None:
    """The token works once, leaves the address bar, and a reload stays logged in by the cookie."""
    assert page.url == f"{centre.url}/"
    page.reload()
    expect(page.get_by_test_id("link")).to_have_text("Live")


def test_an_address_with_a_token_pasted_into_an_open_page_logs_in(browser: Browser, centre: Centre) -> None:
    """Who sees the login form and pastes the printed address changes only the hash: it counts too."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(centre.url)
    expect(page.get_by_label("Token")).to_be_visible()
    page.evaluate("token => { location.hash = `#token=${token}` }", centre.options.token)
    page.get_by_test_id("link").wait_for()
    expect(page.get_by_label("Token")).to_have_count(0)
    assert centre.options.token not in page.url
    context.close()


def test_login_form_says_no_and_yes(browser: Browser, centre: Centre) -> None:
    """Without a token there is a form; a wrong token is refused in words, the right one opens the fleet."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(centre.url)
    page.get_by_label("Token").fill("wrong")
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("is not this centre's token")
    page.get_by_label("Token").fill(centre.options.token)
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.get_by_test_id("link")).to_have_text("Live")
    context.close()


def test_fleet_is_live(page: Page, node: ScriptedNode) -> None:
    """A node comes, counts, loses its camera and goes; the card follows each time without a reload."""
    mark(page)
    node.camera()
    expect(card(page, node)).to_have_attribute("data-state", "online")
    expect(card(page, node).get_by_test_id("camera-state")).to_have_text("ok")
    node.cross(1)
    expect(count(card(page, node))).to_have_text("1")
    node.cross(2)
    node.cross(1, "BA")
    expect(count(card(page, node))).to_have_text("2")
    expect(count(card(page, node), "BA")).to_have_text("1")
    node.camera(state="stalled", reason="no frame for 3 s")
    expect(card(page, node).get_by_test_id("camera-state")).to_have_text("stalled")
    expect(card(page, node)).to_contain_text("no frame for 3 s")
    node.camera()
    expect(card(page, node).get_by_test_id("camera-state")).to_have_text("ok")
    node.vanish()
    expect(card(page, node)).to_have_attribute("data-state", "offline")
    expect(card(page, node)).to_have_class(re.compile("old"))
    expect(card(page, node).get_by_test_id("age")).to_contain_text("old")
    expect(count(card(page, node))).to_have_text("2")
    assert_never_reloaded(page)


def test_a_moved_camera_is_told_beside_its_counts(page: Page, node: ScriptedNode) -> None:
    """A badge with its age beside the camera, the words among the warnings; its state stays ok."""
    node.camera()
    node.cross(1)
    expect(count(card(page, node))).to_have_text("1")
    well = node.cameras
    text = "the camera has moved: its picture is displaced by 2.1 % of its width, left; off: main"
    ailment = wire.Ailment("moved", now_ms() - 180_000, text, 0.021, (-0.021, 0.0), ["main"])
    node.cameras = [msgspec.structs.replace(well[0], health=[ailment])]
    node.report()
    badge = card(page, node).get_by_test_id("camera-health")
    expect(badge).to_have_text("moved for 3 min")
    expect(card(page, node)).to_contain_text(f"Camera cam0: {text}")
    expect(card(page, node).get_by_test_id("camera-state")).to_have_text("ok")
    open_node(page, node)
    expect(page.get_by_test_id("camera-health")).to_be_visible()
    node.cameras = well
    node.report()
    expect(page.get_by_test_id("camera-health")).to_have_count(0)


def test_boxes_are_live_over_a_blank_plane(page: Page, node: ScriptedNode) -> None:
    """The node page draws the boxes of a camera whose pictures do not leave the node, and tells no 0 s of a
    minute that has not been told yet.
    """
    node.camera()
    open_node(page, node)
    facts = page.locator(".facts div")
    for name in ("Watched today", "Blind today"):
        expect(facts.filter(has_text=name).locator("dd")).to_have_text("\u2013")
    boxes = page.get_by_test_id("boxes")
    row = (7, 0.2, 0.3, 0.4, 0.6, 1, 88)
    keep_alive(page, lambda: node.live([row]), lambda: boxes.get_attribute("data-boxes") == "1")
    drawn = (
        "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(v => v)"
    )
    assert boxes.evaluate(drawn)
    assert page.get_by_test_id("preview").is_hidden()


def click_at(page: Page, *points: tuple[float, float]) -> None:
    """Click on the picture, at fractions of it."""
    frame = page.get_by_test_id("picture").bounding_box()
    assert frame
    for x, y in points:
        page.mouse.click(frame["x"] + x * frame["width"], frame["y"] + y * frame["height"])


def begin(page: Page, kind: str) -> None:
    """Ask to draw; the page says what to do next."""
    page.get_by_test_id(f"draw-{kind}").click()
    expect(page.locator(".draft.hint")).to_be_visible()


def test_line_is_drawn_moved_counted_and_deleted(page: Page, node: ScriptedNode) -> None:
    """Two clicks, a name and Save reach the node; its version is shown; dragging and deleting do too."""
    node.camera()
    open_node(page, node)
    begin(page, "line")
    click_at(page, (0.25, 0.2), (0.25, 0.8))
    page.get_by_test_id("line-name").fill("gate")
    page.get_by_test_id("save-line").click()
    expect(page.get_by_test_id("config-state")).to_have_text("The node runs version 1.")
    drawn = node.config.document.cameras["cam0"].lines["gate"]
    assert drawn.points == [pytest.approx((0.25, 0.2), abs=0.01), pytest.approx((0.25, 0.8), abs=0.01)]
    node.cross(1, "BA", "gate")
    expect(count(page, "BA", "gate")).to_have_text("1")

    handle = page.locator("[data-testid=line-handle][data-line=gate][data-index='1']")
    at = handle.bounding_box()
    frame = page.get_by_test_id("picture").bounding_box()
    assert at
    assert frame
    page.mouse.move(at["x"] + at["width"] / 2, at["y"] + at["height"] / 2)
    page.mouse.down()
    page.mouse.move(frame["x"] + 0.5 * frame["width"], frame["y"] + 0.7 * frame["height"], steps=5)
    page.mouse.up()
    page.get_by_test_id("save-line").click()
    expect(page.get_by_test_id("config-state")).to_have_text("The node runs version 2.")
    moved = node.config.document.cameras["cam0"].lines["gate"].points
    assert moved[1] == pytest.approx((0.5, 0.7), abs=0.01)

    page.get_by_role("button", name="Delete line gate").click()
    page.get_by_test_id("confirm-delete").click()
    expect(page.get_by_test_id("config-state")).to_have_text("The node runs version 3.")
    assert set(node.config.document.cameras["cam0"].lines) == {"main"}
    expect(count(page, "BA", "gate")).to_have_text("1")


def measure_road(page: Page, corners: Sequence[tuple[float, float]], width: str, length: str) -> None:
    """Draw the road's plane, and leave it in hand."""
    begin(page, "plane")
    click_at(page, *corners)
    page.get_by_test_id("plane-width").fill(width)
    page.get_by_test_id("plane-length").fill(length)


def test_the_second_of_two_who_measure_the_road_is_told(
    page: Page, browser: Browser, centre: Centre, node: ScriptedNode
) -> None:
    """Both have the road in hand; one saves. The other's save is refused in words, their corners stay, and a
    second save puts them there.
    """
    node.camera()
    context = browser.new_context()
    other = context.new_page()
    other.goto(f"{centre.url}/#token={centre.options.token}")
    other.get_by_test_id("link").wait_for()
    for each, width in ((page, "7"), (other, "3.5")):
        each.goto(f"{centre.url}/nodes/{node.name}")
        measure_road(each, [(0.2, 0.9), (0.8, 0.9), (0.6, 0.4), (0.4, 0.4)], width, "20")
    page.get_by_test_id("save-plane").click()
    expect(page.get_by_test_id("config-state")).to_have_text("The node runs version 1.")
    other.get_by_test_id("save-plane").click()
    expect(other.get_by_role("alert").filter(has_text="Nothing was overwritten")).to_contain_text(
        "Save again"
    )
    first = node.config.document.cameras["cam0"].plane
    assert first is not None
    assert first.metres[2] == (7, 20)
    other.get_by_test_id("save-plane").click()
    expect(other.get_by_test_id("config-state")).to_have_text("The node runs version 2.")
    second = node.config.document.cameras["cam0"].plane
    assert second is not None
    assert second.metres[2] == (3.5, 20)
    context.close()


def test_the_second_of_two_who_move_a_line_is_told_and_keeps_their_drawing(
    page: Page, browser: Browser, centre: Centre, node: ScriptedNode
) -> None:
    """Both have the line in hand; one saves. The other's save is refused in words, their points stay in hand,
    and a second save puts them there.
    """
    node.camera()
    context = browser.new_context()
    other = context.new_page()
    other.goto(f"{centre.url}/#token={centre.options.token}")
    other.get_by_test_id("link").wait_for()
    for each in (page, other):
        each.goto(f"{centre.url}/nodes/{node.name}")
        each.get_by_role("button", name=re.compile("^Move ")).first.click()
        each.get_by_role("button", name="Swap A and B").click()
    page.get_by_test_id("save-line").click()
    expect(page.get_by_test_id("save-line")).to_have_count(0)
    first = node.config.document.cameras["cam0"].lines["main"]
    other.get_by_role("button", name="Swap A and B").click()
    other.get_by_test_id("save-line").click()
    expect(other.get_by_role("alert").filter(has_text="meanwhile")).to_contain_text(
        "line 'main' was drawn or moved by somebody else meanwhile; nothing was overwritten. Save again"
    )
    assert node.config.document.cameras["cam0"].lines["main"] == first
    other.get_by_test_id("save-line").click()
    expect(other.get_by_test_id("save-line")).to_have_count(0)
    second = node.config.document.cameras["cam0"].lines["main"]
    assert second.version > first.version
    assert second.points == first.points[::-1]
    context.close()


def test_what_is_being_saved_is_drawn_once(page: Page, node: ScriptedNode) -> None:
    """A line that the node runs before the centre has answered is drawn once, and its name is not taken."""
    node.camera()
    open_node(page, node)
    held: list[tuple[Route, APIResponse]] = []
    page.route("**/lines/gate", lambda route: held.append((route, route.fetch())))
    begin(page, "line")
    click_at(page, (0.2, 0.3), (0.6, 0.3))
    page.get_by_test_id("line-name").fill("gate")
    page.get_by_test_id("save-line").click()
    expect(page.get_by_test_id("config-state")).to_have_text("The node runs version 1.")
    expect(page.locator(".overlay [data-mood][data-line=gate]")).to_have_count(1)
    expect(page.locator(".draft .problem")).to_be_empty()
    [(route, response)] = held
    route.fulfill(response=response)
    expect(page.locator(".draft")).to_be_hidden()
    expect(page.locator(".overlay [data-mood][data-line=gate]")).to_have_count(1)


def test_line_can_be_drawn_with_keys_alone(page: Page, node: ScriptedNode) -> None:
    """The keyboard reaches everything that drawing a line needs."""
    node.camera()
    open_node(page, node)
    page.get_by_test_id("draw-line").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".overlay")).to_be_focused()
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Space")
    for _ in range(4):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Space")
    expect(page.get_by_test_id("line-name")).to_be_focused()
    page.keyboard.type("keys")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("config-state")).to_have_text("The node runs version 1.")
    assert "keys" in node.config.document.cameras["cam0"].lines


GATES = [wire.Gate("main", "BA", 1000), wire.Gate("kerb", "in", 2000), wire.Gate("main", "AB", 6000)]


def test_zone_and_road_are_drawn_and_told(page: Page, node: ScriptedNode) -> None:
    """A polygon and four corners with two lengths reach the node; its zone, trips and speeds are shown."""
    node.camera()
    open_node(page, node)
    begin(page, "zone")
    click_at(page, (0.2, 0.7), (0.4, 0.7), (0.4, 0.9), (0.2, 0.9), (0.2, 0.7))
    page.get_by_test_id("zone-name").fill("kerb")
    page.get_by_test_id("save-zone").click()
    expect(page.get_by_test_id("config-state")).to_have_text("The node runs version 1.")
    zone = node.config.document.cameras["cam0"].zones["kerb"]
    assert (len(zone.points), zone.version) == (4, 1)
    drawn = page.locator("[data-zone=kerb]")
    row = (7, 0.25, 0.5, 0.35, 0.8, 1, 88)
    keep_alive(page, lambda: node.live([row]), lambda: drawn.get_attribute("data-inside") == "1")

    begin(page, "plane")
    click_at(page, (0.2, 0.9), (0.8, 0.9), (0.6, 0.4), (0.4, 0.4))
    page.get_by_test_id("plane-width").fill("7")
    page.get_by_test_id("plane-length").fill("30.5")
    page.get_by_test_id("save-plane").click()
    expect(page.get_by_test_id("config-state")).to_have_text("The node runs version 2.")
    plane = node.config.document.cameras["cam0"].plane
    assert plane
    assert plane.metres == [(0, 0), (7, 0), (7, 30.5), (0, 30.5)]
    assert set(node.config.document.cameras["cam0"].zones) == {"kerb"}
    expect(page.locator(".overlay .road")).to_contain_text("30.5 m")

    minute = now_ms() // 60_000 * 60_000
    for n in range(2):
        node.send(
            wire.Tally(
                minute - (2 - n) * 60_000, "cam0", 60_000, {}, [], {"car": 3 * n}, 600, 600, 0, 20, 40,
                [wire.ZoneTotal("kerb", 1, "car", 4 * n, 3 * n)],
                [wire.ZoneMinute("kerb", 1, 250, 4, 1, 150, 2, 1)],
                [wire.TripTotal("main:AB", "kerb", "car", 7 * n)],
            ),
            wire.Crossing(now_ms(), "cam0", "main", 0, "AB", "car", n, n + 1, 90, 487),
            wire.Track(now_ms(), "cam0", n, "car", 90, 9000, 90, b"", True, {}, GATES),
        )  # fmt: skip
    expect(page.get_by_test_id("zone-occupancy")).to_contain_text("there 2.5")
    expect(page.get_by_test_id("trips").locator("td").first).to_have_text("7")
    expect(page.get_by_test_id("speeds")).to_contain_text("49")
    expect(page.get_by_test_id("events")).to_contain_text("at 49 km/h")

    trips = page.get_by_test_id("trips")
    trips.get_by_label("From", exact=True).select_option("kerb")
    expect(page.get_by_test_id("trips-note")).to_contain_text("passed kerb, by each line and zone")
    expect(trips.locator("th")).to_contain_text(["from", "main A→B", "kerb"])
    trips.get_by_label("To", exact=True).select_option("main:AB")
    expect(page.get_by_test_id("pair").locator("td")).to_have_text(["car", "2", "4.0 s"])


HATCHED = """(place) => {
    const canvas = document.querySelector('[data-testid=counts-chart] canvas');
    const probe = document.body.appendChild(document.createElement('i'));
    probe.style.color = 'var(--hatch)';
    const ink = getComputedStyle(probe).color.match(/\\d+/g).map(Number);
    probe.remove();
    const x = Math.round(canvas.width * place);
    const { data } = canvas.getContext('2d').getImageData(x, 20, 12, canvas.height / 3);
    let found = 0;
    for (let i = 0; i < data.length; i += 4)
        found += data[i + 3] > 200 && ink.every((value, k) => Math.abs(value - data[i + k]) < 6);
    return found;
}"""


def test_unseen_time_is_hatched_and_no_zero(page: Page, node: ScriptedNode) -> None:
    """Minutes of which the node said nothing are hatched and said; quiet ones that were watched are not."""
    node.camera()
    minute = now_ms() // 60_000 * 60_000
    watched = [*range(65, 40, -1), *range(20, 0, -1)]
    node.send(
        *(wire.Tally(minute - n * 60_000, "cam0", 60_000, {}, [], {}, 600, 600, 0, 20, 40) for n in watched)
    )
    open_node(page, node)
    readout = page.get_by_test_id("counts-chart").get_by_test_id("readout")
    expect(readout).to_contain_text("nothing heard 20 min")
    assert page.evaluate(HATCHED, 0.5) > 20
    assert page.evaluate(HATCHED, 0.2) == 0
    over = page.get_by_test_id("counts-chart").locator(".u-over")
    over.hover(position={"x": (over.bounding_box() or {"width": 0.0})["width"] / 2, "y": 50})
    expect(readout).to_contain_text("watched 0 of 60 s, blind: nothing heard 60 s")
    page.get_by_test_id("per-hour").click()
    expect(page.get_by_test_id("per-hour")).to_have_attribute("aria-pressed", "true")


def test_refused_configuration_says_why(page: Page, node: ScriptedNode) -> None:
    """A node that cannot take a line says its reason, and the page shows it with both versions."""
    node.camera()
    node.refuses = "the line leaves the picture"
    open_node(page, node)
    begin(page, "line")
    click_at(page, (0.2, 0.3), (0.6, 0.3))
    page.get_by_test_id("save-line").click()
    expect(page.get_by_test_id("config-state")).to_contain_text(
        "refused version 1: the line leaves the picture"
    )


def test_viewer_sees_and_cannot_change(browser: Browser, centre: Centre, node: ScriptedNode) -> None:
    """A viewer logs in by name and password, sees what is live, and is offered no way to change it."""
    node.camera()
    node.cross(1)
    centre.add_user("ada", "a long password", "viewer")
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{centre.url}/nodes/{node.name}")
    page.get_by_role("button", name="Use a name and password").click()
    page.get_by_label("User").fill("ada")
    page.get_by_label("Password").fill("a long password")
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(count(page)).to_have_text("1")
    assert page.get_by_test_id("draw-line").count() == 0
    assert page.get_by_test_id("line-handle").count() == 0
    assert page.get_by_role("button", name="Delete line main").count() == 0
    page.get_by_role("link", name="← Fleet").click()
    expect(card(page, node)).to_be_visible()
    assert page.get_by_text("Add a node").count() == 0
    context.close()


def test_who_was_added_and_has_not_come_is_shown(page: Page, centre: Centre, node: ScriptedNode) -> None:
    """A node that waits to join has its place on the page, with the command that prints its line again."""
    node.camera()
    expect(card(page, node)).to_be_visible()
    expect(page.get_by_text("Add a node")).to_be_visible()
    with pymongo.MongoClient(centre.stack.mongodb_uri) as client:
        joins = client["gb_fleet"]["joins"]
        joins.insert_one({"_id": "gate-70", "until": now_ms() + 30 * 60_000 + 30_000})
        joins.insert_one({"_id": "gate-71", "until": now_ms() - 1000})
        page.reload()
        waiting = page.get_by_test_id("waiting")
        expect(waiting).to_contain_text("gate-70 has not joined yet; its command is valid for 30 min")
        expect(waiting).to_contain_text("gate-71 did not join in time")
        expect(waiting).to_contain_text("gb-aggregator add-node gate-71 --again")
        joins.delete_many({})


def test_log_out_ends_it(page: Page) -> None:
    """After logging out a reload asks for the login again."""
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_a_log_out_that_fails_is_said(page: Page) -> None:
    """Who could not be logged out is told so, and is not shown the login as if it were done."""
    page.route("**/logout", lambda route: route.abort())
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("alert")).to_contain_text("still logged in")
    expect(page.get_by_test_id("link")).to_have_text("Live")


def test_share_of_masks_keeps_the_unknown_apart(page: Page, node: ScriptedNode) -> None:
    """Three of four judged faces wear a mask; the two that nobody could judge change nothing."""
    node.camera(labels=["with_mask", "without_mask"])
    minute = now_ms() // 60_000 * 60_000
    objects = {"with_mask": 3, "without_mask": 1, "unknown": 2}
    for at, seen in ((minute - 60_000, {}), (minute, objects)):
        node.send(wire.Tally(at, "cam0", 60_000, {}, [], seen, 600, 600, 0, 20, 40))
    open_node(page, node)
    expect(page.get_by_test_id("mask-share")).to_contain_text("75.0 %")
    expect(page.get_by_test_id("mask-unknown")).to_have_text("2")


def test_centre_restarts_and_nobody_reloads(page: Page, centre: Centre, node: ScriptedNode) -> None:
    """While the centre is away the page says so and greys what is old; then it is live again by itself."""
    mark(page)
    node.camera()
    node.cross(1)
    open_node(page, node)
    expect(count(page)).to_have_text("1")
    centre.kill()
    expect(page.get_by_test_id("connection-lost")).to_be_visible()
    expect(page.locator(".node-page")).to_have_class(re.compile("old"))
    node.cross(2)
    centre.start()
    expect(page.get_by_test_id("connection-lost")).to_be_hidden(timeout=30_000)
    expect(count(page)).to_have_text(re.compile("[12]"))
    node.cross(3)
    expect(count(page)).to_have_text("3", timeout=30_000)
    assert_never_reloaded(page)


def look(page: Page, seen: bool) -> None:
    """Turn to the page's tab, or away from it."""
    page.evaluate(
        """seen => {
            Object.defineProperty(document, 'hidden', {configurable: true, value: !seen});
            document.dispatchEvent(new Event('visibilitychange'));
        }""",
        seen,
    )


def test_what_came_while_nobody_looked_is_shown(page: Page, node: ScriptedNode) -> None:
    """A tab that was left for a while closes its stream; looked at again, its charts have no hole."""
    node.camera()

    def sample(seconds_ago: int) -> None:
        node.send(
            wire.Resources(
                now_ms() - 1000 * seconds_ago, "", 30, 60, 10**8, 40, 30, 50, 1, 1, False, {"cam0": 100}
            )
        )

    sample(30)
    open_node(page, node)
    box = page.get_by_test_id("resources")
    expect(box).to_have_attribute("data-samples", "1")
    page.clock.install()
    look(page, False)
    page.clock.fast_forward(31_000)
    for seconds_ago in (20, 10, 5):
        sample(seconds_ago)
    look(page, True)
    expect(box).to_have_attribute("data-samples", "4")
    sample(0)
    expect(box).to_have_attribute("data-samples", "5")


def test_database_away_is_said_and_greys_the_numbers(page: Page, centre: Centre, node: ScriptedNode) -> None:
    """While the database is away the page gives the reason and greys its numbers; then they go on."""
    node.camera()
    node.cross(1)
    expect(count(card(page, node))).to_have_text("1")
    assert centre.stack.mongod
    centre.stack.mongod.kill()
    try:
        expect(page.get_by_test_id("centre-trouble")).to_contain_text("MongoDB", timeout=30_000)
        expect(card(page, node)).to_have_class(re.compile("old"))
        with page.expect_response(
            lambda answer: "/stream" in answer.url and answer.status == 503, timeout=30_000
        ):
            open_node(page, node)  # asks for another stream, which the centre has to refuse now
        expect(page.get_by_test_id("centre-trouble")).to_contain_text("MongoDB")
        page.locator("a.brand").click()
    finally:
        centre.stack.mongod.start()
    node.cross(2)
    expect(page.get_by_test_id("centre-trouble")).to_be_hidden(timeout=30_000)
    expect(count(card(page, node))).to_have_text("2", timeout=30_000)


def test_hostile_text_is_only_text(page: Page, node: ScriptedNode) -> None:
    """Markup in labels, line names, reasons and versions is shown as it is and never runs."""
    node.camera(state="absent", reason=HOSTILE, labels=[HOSTILE, "car"])
    node.cross(1, "AB", HOSTILE, HOSTILE[:48])
    node.send(
        wire.CameraState(now_ms(), "cam0", "absent", HOSTILE),
        wire.Lost(now_ms(), "cam0", HOSTILE, 3, HOSTILE),
    )
    expect(card(page, node)).to_contain_text(HOSTILE)
    open_node(page, node)
    page.get_by_role("button", name="Node", exact=True).click()
    expect(page.get_by_test_id("events")).to_contain_text(HOSTILE)
    node.camera(labels=[HOSTILE, "car"])
    boxes = page.get_by_test_id("boxes")
    row = (7, 0.2, 0.3, 0.4, 0.6, 0, 88)
    keep_alive(page, lambda: node.live([row]), lambda: boxes.get_attribute("data-boxes") == "1")
    assert page.locator("img[src=x]").count() == 0
    assert page.title() != "broken"


@pytest.mark.parametrize("width", [360, 390, 1280])
def test_nothing_sticks_out(browser: Browser, centre: Centre, node: ScriptedNode, width: int) -> None:
    """Neither page scrolls sideways, on a narrow phone or on a desk."""
    node.camera("a-camera-with-quite-a-long-name-for-its-place")
    node.camera("cam0", "stalled", "no frame for 12 s from rtsp://camera.example/stream; it is tried again")
    context = browser.new_context(viewport={"width": width, "height": 740})
    page = context.new_page()
    page.goto(f"{centre.url}/#token={centre.options.token}")
    expect(card(page, node)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    open_node(page, node)
    expect(page.get_by_test_id("resources")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    begin(page, "zone")
    expect(page.get_by_test_id("picture")).to_be_in_viewport(ratio=1)
    context.close()


def test_first_live_data_within_a_second(page: Page, centre: Centre, node: ScriptedNode) -> None:
    """From opening the page to live data on it: at most a second (twice that here, on a shared machine)."""
    node.camera()
    expect(card(page, node)).to_be_visible()
    started = time.monotonic()
    page.goto(centre.url)
    card(page, node).wait_for()
    expect(page.get_by_test_id("link")).to_have_text("Live")
    assert time.monotonic() - started < 2.0
