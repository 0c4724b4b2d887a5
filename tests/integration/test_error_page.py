"""A mistyped address: a page with a way back for people, the one shape of errors for programs."""

from __future__ import annotations

import pytest
from aiohttp import ClientSession

from aggregator.api import PREFIX
from aggregator.error_page import up
from deploy.stack import Stack

from .test_api import scene

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


async def asked(client: ClientSession, path: str, accept: str) -> tuple[int, str, str]:
    """Return status, kind and text of a GET."""
    async with client.get(path, headers={"Accept": accept}) as response:
        return response.status, response.content_type, await response.text()


async def test_a_mistyped_address_leads_a_person_back(stack: Stack) -> None:
    """A page that there is not is told as a page to browsers, with a link to the fleet; the API, and who asks
    for JSON or for anything, gets JSON; what the page routes itself is still the page.
    """
    async with scene(stack, "lost-1") as (_, _, client):
        for path in (
            "/nosuch",
            "/alertss",
            "/countsx/",
            "/manage/people/x",
            "/nodes/lost-1/x",
            "/.env",
            "/api",
        ):
            status, kind, text = await asked(client, path, BROWSER)
            assert (status, kind) == (404, "text/html"), path
            assert "No such page" in text
            assert f'<base href="{up(path[1:])}" />' in text
            assert '<a href="./">To the fleet</a>' in text
        for path, accept in (
            (PREFIX + "/nosuch", BROWSER),
            ("/api/nosuch", BROWSER),
            ("/nosuch", "*/*"),
            ("/nosuch", "application/json"),
            ("/nosuch", "application/json, text/html;q=0.5"),
        ):
            status, kind, text = await asked(client, path, accept)
            assert (status, kind) == (404, "application/json"), (path, accept)
            assert '"code":"not_found"' in text
        for path in ("/", "/alerts", "/counts/", "/system", "/manage", "/manage/people", "/nodes/lost-1"):
            status, kind, text = await asked(client, path, BROWSER)
            if status == 503:
                pytest.skip("the page is not built: `make setup`")
            assert (status, kind) == (200, "text/html"), path
            assert 'id="app"' in text
