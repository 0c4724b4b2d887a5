"""The centre behind real proxies: who is our own page, what streams, and under which path."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession, CookieJar

from agent import wire
from aggregator import auth
from aggregator.api import PREFIX
from deploy.stack import Service, Stack
from tests.proxies import caddy, documented, nginx

from .box import TOKEN, now_ms, settings, until
from .box import centre as run_centre
from .test_api import BEARER, Reader, scene, served

SAME = {"Sec-Fetch-Site": "same-origin"}


@contextmanager
def running(service: Service) -> Iterator[str]:
    """Run a proxy; give its address."""
    service.start()
    try:
        yield f"http://127.0.0.1:{service.port}"
    finally:
        service.kill(signal.SIGTERM)  # else nginx leaves its workers behind


async def login(address: str, headers: dict[str, str], **body: str) -> tuple[int, dict[str, Any], str]:
    """Log in as a page would; return the status, the answer and the cookie as it was set."""
    async with (
        ClientSession() as browser,
        browser.post(f"{address}{PREFIX}/login", json={"token": TOKEN, **body}, headers=headers) as response,
    ):
        return response.status, await response.json(), response.headers.get("Set-Cookie", "")


async def test_nginx_with_its_own_defaults(stack: Stack, tmp_path: Path) -> None:
    """`proxy_pass` alone hides the address: who says same-origin is let in, another is told why not."""
    async with scene(stack, "proxy-1") as (_, _, client):
        centre = str(client._base_url).rstrip("/")
        inside = f"location / {{ proxy_pass {centre}; }}"
        with running(nginx(tmp_path, inside)) as proxy:
            status, _, cookie = await login(proxy, {"Origin": "https://fleet.example", **SAME})
            assert status == 200
            assert "Secure" in cookie
            status, said, _ = await login(proxy, {"Origin": "http://192.0.2.7:8090"})
            assert status == 403
            message = said["error"]["message"]
            assert "http://192.0.2.7:8090" in message
            assert centre.removeprefix("http://") in message
            assert 'origins = ["http://192.0.2.7:8090"]' in message
            for site in ("cross-site", "same-site"):
                status, _, _ = await login(proxy, {"Origin": proxy, "Sec-Fetch-Site": site})
                assert status == 403, site


async def test_the_documented_lines_of_nginx(stack: Stack, tmp_path: Path) -> None:
    """With the lines of docs/centre.md a page without Sec-Fetch-Site logs in, writes, is streamed to."""
    async with scene(stack, "proxy-2") as (_, node, client):
        inside = documented("nginx", "location / {", str(client._base_url).rstrip("/"))
        with running(nginx(tmp_path, inside)) as proxy:
            await writes_and_streams(proxy, node, "/")


async def test_the_documented_lines_of_nginx_under_a_path(stack: Stack, tmp_path: Path) -> None:
    """The same below /fleet/: the API, the stream, and a cookie that other services of the host never see."""
    async with scene(stack, "proxy-3") as (_, node, client):
        inside = documented("nginx", "location /fleet/ {", str(client._base_url).rstrip("/"))
        with running(nginx(tmp_path, inside)) as proxy:
            await writes_and_streams(proxy, node, "/fleet/")


@pytest.mark.parametrize(("mark", "path"), [("# the whole site", "/"), ("handle_path /fleet/*", "/fleet/")])
async def test_the_documented_lines_of_caddy(stack: Stack, tmp_path: Path, mark: str, path: str) -> None:
    """Caddy passes everything on by itself, with and without a path."""
    async with scene(stack, f"proxy-4-{len(path)}") as (_, node, client):
        inside = documented("caddyfile", mark, str(client._base_url).rstrip("/"))
        with running(caddy(tmp_path, inside)) as proxy:
            await writes_and_streams(proxy, node, path)


async def writes_and_streams(proxy: str, node: Any, path: str) -> None:
    """Log in as a page of `proxy` + `path` does, draw a line, watch the stream, log out."""
    root = f"{proxy}{path.rstrip('/')}"
    origin = {"Origin": proxy}
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as browser:
        body = {"token": TOKEN, "path": path}
        async with browser.post(f"{root}{PREFIX}/login", json=body, headers=origin) as response:
            assert response.status == 200, await response.text()
            assert response.cookies[auth.COOKIE]["path"] == path
        line = f"{root}{PREFIX}/nodes/{node.name}/cameras/cam0/lines/x"
        async with browser.put(line, json={"points": [[0, 0.5], [1, 0.5]]}, headers=origin) as response:
            assert response.status == 202, await response.text()
        began = time.monotonic()
        async with browser.get(f"{root}{PREFIX}/stream?node={node.name}") as response:
            _, entry = await Reader(response).next("node")
            assert entry["node"] == node.name
        assert time.monotonic() - began < 3, "the proxy held the stream back"
        page = f"{root}/nodes/{node.name}"
        async with browser.get(page) as response:
            assert '<base href="../" />' in await response.text()
        async with browser.post(f"{root}{PREFIX}/logout", headers=origin) as response:
            assert response.cookies[auth.COOKIE]["path"] == path
        async with browser.get(f"{root}{PREFIX}/me") as response:
            assert response.status == 401


async def test_pictures_are_not_held_back(stack: Stack, tmp_path: Path) -> None:
    """A picture of a few bytes comes through nginx at once, though nginx gathers answers by itself."""
    async with scene(stack, "proxy-7") as (running_centre, node, client):
        await node.state(cameras=[wire.CameraReport("cam0", "ok", now_ms(), preview=True)])
        await until(lambda: running_centre.fleet.state("proxy-7").cameras[0].preview)  # type: ignore[union-attr]
        inside = f"location / {{ proxy_pass {str(client._base_url).rstrip('/')}; }}"
        with running(nginx(tmp_path, inside)) as proxy:
            url = f"{proxy}{PREFIX}/nodes/proxy-7/cameras/cam0/preview"
            async with ClientSession(headers=BEARER) as browser, browser.get(url) as response:
                await until(lambda: node.commands)
                frame = wire.encode_live(wire.Live(now_ms(), "cam0", b"", b"\xff\xd8picture"))
                await node.client.publish(wire.topic("proxy-7", "live"), frame, qos=0)
                async with asyncio.timeout(5):
                    assert b"image/jpeg" in await response.content.readuntil(b"picture")


async def test_a_path_that_the_proxy_passes_on_unchanged(stack: Stack, tmp_path: Path) -> None:
    """With `base_path` the page, the API and the health check lie below it, and without it as before."""
    config = settings(stack.mqtt_url, stack.mongodb_uri, "api_proxy_5")
    config = msgspec.structs.replace(config, http=msgspec.structs.replace(config.http, base_path="/fleet"))
    async with run_centre(config) as own, served(own) as centre:
        with running(nginx(tmp_path, f"location /fleet/ {{ proxy_pass {centre}; }}")) as proxy:
            async with ClientSession(headers=BEARER) as browser:
                for url in (
                    f"{proxy}/fleet{PREFIX}/fleet",
                    f"{centre}{PREFIX}/fleet",
                    f"{proxy}/fleet/healthz",
                ):
                    async with browser.get(url) as response:
                        assert response.status == 200, url
                async with browser.get(f"{centre}/fleet", allow_redirects=False) as response:
                    assert (response.status, response.headers["Location"]) == (308, "/fleet/")
                async with browser.get(f"{proxy}/fleet/nodes/proxy-5") as response:
                    assert '<base href="../" />' in await response.text()


async def test_two_centres_below_one_host(stack: Stack) -> None:
    """A session works though the browser sends another centre's cookie of the same name too."""
    async with scene(stack, "proxy-6") as (_, _, client):
        centre = str(client._base_url).rstrip("/")
        _, _, cookie = await login(centre, {}, path="/fleet/")
        mine = cookie.partition(";")[0]
        both = {"Cookie": f"{mine}; {auth.COOKIE}=of-another-centre"}
        async with ClientSession(headers=both) as browser, browser.get(f"{centre}{PREFIX}/me") as response:
            assert response.status == 200
        for path in ("fleet/", "//evil/", "/a b/", "/fleet/../;Domain=x/"):
            status, said, _ = await login(centre, {}, path=path)
            assert (status, said["error"]["code"]) == (400, "bad_request"), path
