"""The box's own page where no browser is needed: its day, its wishes, its token, what it costs while off."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from unittest.mock import AsyncMock, Mock

import pytest
from aiohttp import web

from agent import config, wire
from agent.command import Desired, Refused
from agent.count.totals import Totals
from agent.page import token
from agent.page.listen import address
from agent.page.server import Page
from agent.page.wishes import MOST, Wishes
from agent.today import Today
from tests.unit.test_architecture import loaded

NOON = time.mktime((2026, 11, 28, 12, 0, 0, 0, 0, -1))
DAY = 86_400
LINE = wire.Line([(0.1, 0.5), (0.9, 0.5)])
FIRST = wire.Document(0, {"cam0": wire.CameraSettings(lines={"main": LINE})})


def test_aiohttp_is_not_loaded_while_the_page_is_off() -> None:
    """It costs memory that a box without a page keeps."""
    assert "aiohttp" not in loaded("import agent.node")


def test_today_begins_at_midnight_and_survives_a_restart(tmp_path: Path) -> None:
    """What was counted before midnight is yesterday's, also where the agent was started anew meanwhile."""
    totals = Totals()
    today = Today(tmp_path, {"cam0": totals})
    assert today.figures(NOON)["cam0"].rows == []
    for _ in range(3):
        totals.crossed("main", 0, "AB", "car")
    assert today.figures(NOON)["cam0"].rows == [("main", "AB", "car", 3)]
    again = Today(tmp_path, {"cam0": totals})
    totals.crossed("main", 1, "AB", "car")  # the line was moved: another version, the same count
    assert again.figures(NOON + 60)["cam0"].rows == [("main", "AB", "car", 4)]
    figures = again.figures(NOON + DAY)["cam0"]
    assert figures.rows == []
    assert figures.since == round((NOON + DAY / 2) * 1000)
    totals.crossed("main", 1, "BA", "bus")
    assert again.figures(NOON + DAY)["cam0"].rows == [("main", "BA", "bus", 1)]


def test_a_day_whose_beginning_was_not_seen_says_since_when_it_counts(tmp_path: Path) -> None:
    """The page was turned on at noon: what was counted since midnight cannot be told from what was before."""
    totals = Totals()
    totals.crossed("main", 0, "AB", "car")
    figures = Today(tmp_path, {"cam0": totals}).figures(NOON)["cam0"]
    assert (figures.since, figures.rows) == (round(NOON * 1000), [])


def test_a_wish_stays_until_the_document_says_the_same(tmp_path: Path) -> None:
    """The newest wish of a line counts; it goes once both agree; their number is bounded."""
    wishes = Wishes()
    wishes.add("cam0", "gate", LINE)
    moved = wire.Line([(0.2, 0.5), (0.8, 0.5)])
    wishes.add("cam0", "gate", moved)
    wishes.add("cam0", "main", None)
    assert wishes.open(FIRST) == [
        wire.Wish("cam0", "gate", moved.points),
        wire.Wish("cam0", "main", None),
    ]
    agreed = wire.Document(4, {"cam0": wire.CameraSettings(lines={"gate": moved})})
    assert wishes.open(agreed) == []
    assert wishes.open(FIRST) == []
    for number in range(MOST):
        wishes.add("cam0", f"line {number}", LINE)
    with pytest.raises(Refused, match=r"wait for the centre already"):
        wishes.add("cam0", "one more", LINE)


def test_a_line_drawn_at_a_box_alone_is_a_new_version_and_is_remembered() -> None:
    """Counts of the old version stay; a restart has the line; what makes no sense is refused."""
    desired = Desired(FIRST, None, {"cam0": ["car"]})
    desired.draw("cam0", "main", wire.Line([(0.2, 0.5), (0.8, 0.5)]))
    assert desired.settings("cam0").lines["main"].version == 1
    again = Desired(FIRST, desired.remember(), {"cam0": ["car"]})
    assert again.document == desired.document
    again.draw("cam0", "main", None)
    assert again.settings("cam0").lines == {}
    for camera, name, line in (("none", "a", LINE), ("cam0", "none", None)):
        with pytest.raises(Refused):
            again.draw(camera, name, line)
    with pytest.raises(Refused, match="does not know 'cow'"):
        again.draw("cam0", "a", wire.Line(LINE.points, labels=["cow"]))


async def answered(request: bytes, whole: bool = False) -> bytes:
    """Return the first line, or all, of what the page of a box with the token `right` answers."""
    runner = web.AppRunner(Page(Mock(told=AsyncMock(return_value={})), "right").application())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", runner.addresses[0][1])
        writer.write(request)
        line = await asyncio.wait_for(reader.read() if whole else reader.readline(), 30)
        writer.close()
        await writer.wait_closed()
    finally:
        await runner.cleanup()
    return line.split(b" ", 1)[1].strip()


@pytest.mark.parametrize(
    ("headers", "answer"),
    [
        (b"", b"401 Unauthorized"),
        (b"Authorization: Bearer wrong\r\n", b"401 Unauthorized"),
        (b"Authorization: Bearer \xff\xfe\r\n", b"401 Unauthorized"),
        (b"Cookie: gb-page=\xff\r\n", b"401 Unauthorized"),
        (b"Cookie: gb-page=\r\nAuthorization: Bearer \r\n", b"401 Unauthorized"),
        (b"Authorization: Bearer right\r\n", b"200 OK"),
        (b"Cookie: gb-page=stale\r\nAuthorization: Bearer right\r\n", b"200 OK"),
        (b"Cookie: gb-page=right\r\nAuthorization: Basic d3Jvbmc6\r\n", b"200 OK"),
    ],
)
async def test_only_the_right_token_is_let_in(headers: bytes, answer: bytes) -> None:
    """A wrong one is refused, of whatever bytes; a cookie of before keeps nobody out who shows the token."""
    request = b"GET /api/box HTTP/1.1\r\nHost: box\r\nConnection: close\r\n" + headers + b"\r\n"
    assert await answered(request) == answer


@pytest.mark.parametrize(
    ("path", "accept", "kind"),
    [
        ("/nosuch", "text/html,*/*;q=0.8", "text/html"),
        ("/api", "text/html,*/*;q=0.8", "text/html"),
        ("/api/nosuch", "text/html,*/*;q=0.8", "application/json"),
        ("/nosuch", "application/json, text/html;q=0.5", "application/json"),
        ("/nosuch", "*/*", "application/json"),
    ],
)
async def test_a_mistyped_address_is_told_to_a_person_as_a_page(path: str, accept: str, kind: str) -> None:
    """A browser gets a page that leads back; who asks the API, or for anything, gets JSON; always 404."""
    headers = f"Host: box\r\nConnection: close\r\nAuthorization: Bearer right\r\nAccept: {accept}\r\n\r\n"
    whole = await answered(f"GET {path} HTTP/1.1\r\n{headers}".encode(), whole=True)
    assert whole.startswith(b"404 Not Found")
    assert f"Content-Type: {kind}".encode() in whole
    assert (b"To the page of this box" in whole) == (kind == "text/html")


def test_the_token_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    """The second call gives the same; the file is nobody else's."""
    made = token.ensure(tmp_path / "state")
    assert len(made) >= 24
    assert token.ensure(tmp_path / "state") == made
    assert (tmp_path / "state" / token.NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("listen", ["8070", "localhost:8070", "0.0.0.0:80700", "0.0.0.0", "0.0.0.0:x"])
def test_an_address_that_cannot_be_listened_at_is_refused(tmp_path: Path, listen: str) -> None:
    """In one line, with one that can."""
    path = tmp_path / "agent.toml"
    path.write_text(f'node = "box-1"\n[page]\nlisten = "{listen}"\n[camera.cam0]\nsource = "0"\n')
    with pytest.raises(config.ConfigError, match=r'page\.listen: .* write "0\.0\.0\.0:8070"'):
        config.load(path)
    assert address("[::]:8070") == ("::", 8070)
