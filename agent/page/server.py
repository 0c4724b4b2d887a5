"""Serves the box's own page: the live picture, today's figures, states, what waits for the centre, a line to
draw.

What always holds: nothing is told to who has not shown the token, but the page itself, which holds nothing;
how many such there may be, and for how long, is `door`'s. A
GET changes nothing; a change needs the header that only our own page sends. A picture has gone through
`agent.show.privacy` and is in the log. The page is off unless the box's owner turns it on.

    GET /                              the page          GET /api/box                       all figures
    POST /api/login {"token"}          sets the cookie   GET /api/cameras/NAME/preview      MJPEG
    PUT|DELETE /api/cameras/NAME/lines/LINE              GET /api/cameras/NAME/empty        the picture
    without people
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec
from aiohttp import web

from agent import wire
from agent.command import Refused
from agent.page import token
from agent.page.door import Door
from agent.page.listen import address
from agent.page.pictures import OWNER, PageWay
from agent.preview import picture
from agent.show.showing import Showing
from agent.wire import mismatch

_LOG = logging.getLogger(__name__)

COOKIE = "gb-page"
AGAIN_SECONDS = 30.0
_STATIC = Path(__file__).parent / "static"
_BOUNDARY = "gb-frame"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'"
)
_KINDS = {"page.js": "text/javascript", "page.css": "text/css"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Box(Protocol):
    """What the page asks of the box."""

    @property
    def showings(self) -> Mapping[str, Showing]:
        """Return what shows each camera whose pictures may leave."""

    @property
    def ways(self) -> Mapping[str, PageWay]:
        """Return the page's way out of each of these."""

    async def told(self) -> dict[str, Any]:
        """Return all that the page shows."""

    async def draw(self, camera: str, name: str, line: wire.Line | None) -> str:
        """Draw a line, or take it away; return in words what becomes of it. Raise Refused."""


class Page:
    """The page's requests. `token`: what lets one in."""

    def __init__(self, box: Box, token: str) -> None:
        self._box = box
        self._token = token
        self.on_known: Callable[[web.Request], None] = lambda request: None  # of who has shown the token

    def application(self) -> web.Application:
        """Return the application."""
        app = web.Application(middlewares=[self._guard], client_max_size=64 * 1024)
        app.add_routes(
            [
                web.get("/", self._index),
                web.get("/{file:page\\.(?:js|css)}", self._file),
                web.post("/api/login", self._login),
                web.get("/api/box", self._told),
                web.get("/api/cameras/{camera}/preview", self._preview),
                web.get("/api/cameras/{camera}/empty", self._empty),
                web.put("/api/cameras/{camera}/lines/{line}", self._draw),
                web.delete("/api/cameras/{camera}/lines/{line}", self._draw),
            ]
        )
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let in who has the token; say refusals in one shape."""
        try:
            if request.path.startswith("/api/") and request.path != "/api/login" and not self._is_in(request):
                raise web.HTTPUnauthorized(reason="give the token that `gb-agent status` prints")
            if self._is_in(request):
                self.on_known(request)
            if request.method != "GET" and request.headers.get("X-GB-Page") != "1":
                raise web.HTTPForbidden(reason="the header X-GB-Page: 1 is missing")
            response = await handler(request)
        except Refused as refusal:
            return _error(409, str(refusal))
        except web.HTTPException as error:
            response = (
                _no_page(request) if _is_mistyped(request, error) else _error(error.status, error.reason)
            )
        if not response.prepared:
            response.headers["Content-Security-Policy"] = _POLICY
            response.headers["X-Content-Type-Options"] = "nosniff"
            response.headers["Cache-Control"] = "no-store"
        return response

    def _is_in(self, request: web.Request) -> bool:
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        cookie = request.cookies.get(COOKIE, "")  # one of before takes nothing from the token beside it
        return any([self._is_token(shown) for shown in (cookie, bearer)])

    def _is_token(self, given: str) -> bool:
        """Compare in a time that tells nothing; a header's bytes need not be text."""
        return hmac.compare_digest(given.encode(errors="surrogateescape"), self._token.encode())

    async def _index(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(text=(_STATIC / "index.html").read_text(), content_type="text/html")

    async def _file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["file"]
        return web.Response(text=(_STATIC / name).read_text(), content_type=_KINDS[name])

    async def _login(self, request: web.Request) -> web.StreamResponse:
        try:
            given = msgspec.json.decode(await request.read(), type=dict[str, str]).get("token", "")
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise web.HTTPBadRequest(reason='send {"token": "…"}') from None
        if not self._is_token(given):
            raise web.HTTPUnauthorized(reason="that is not the token; `sudo gb-agent status` prints it")
        response = web.json_response({"ok": True})
        response.set_cookie(COOKIE, self._token, httponly=True, samesite="Strict", max_age=30 * 86400)
        return response

    async def _told(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(body=msgspec.json.encode(await self._box.told()), content_type="application/json")

    async def _preview(self, request: web.Request) -> web.StreamResponse:
        camera = self._camera(request)
        response = web.StreamResponse(
            headers={
                "Content-Type": f"multipart/x-mixed-replace; boundary={_BOUNDARY}",
                "Cache-Control": "no-store",
            }
        )
        try:
            with self._box.ways[camera].open(_place(request)) as viewer, contextlib.suppress(ConnectionError):
                await response.prepare(request)
                while request.transport and not request.transport.is_closing():
                    await response.write(_part(await viewer.take()))
        except OverflowError as error:
            raise web.HTTPServiceUnavailable(reason=str(error)) from None
        return response

    async def _empty(self, request: web.Request) -> web.StreamResponse:
        showing = self._box.showings[self._camera(request)]
        image = showing.empty(_place(request), OWNER)
        if image is None:
            wait = showing.privacy.nobody.wait_seconds
            raise web.HTTPConflict(reason=f"watch the picture for {wait:.0f} s more")
        return web.Response(body=picture(image), content_type="image/jpeg")

    async def _draw(self, request: web.Request) -> web.StreamResponse:
        line = None
        try:
            name = msgspec.convert(request.match_info["line"], wire.Name)
            if request.method == "PUT":
                line = mismatch.decode(await request.read(), wire.Line)
        except wire.DECODE_ERRORS as error:
            raise web.HTTPBadRequest(reason=f"line: {error}") from None
        said = await self._box.draw(request.match_info["camera"], name, line)
        return web.json_response({"said": said}, status=202)

    def _camera(self, request: web.Request) -> str:
        camera = request.match_info["camera"]
        if camera not in self._box.ways:
            raise web.HTTPNotFound(reason="no pictures of that camera leave this box")
        return camera


def _place(request: web.Request) -> str:
    """Return from where somebody looks, for the log."""
    return f"page from {request.remote or 'this box'}"


def _is_mistyped(request: web.Request, error: web.HTTPException) -> bool:
    """Return whether a browser asks for a page that there is not; who asks the API gets JSON."""
    accepted = request.headers.get("Accept", "")
    by_person = "text/html" in accepted and "application/json" not in accepted
    return error.status == 404 and by_person and not request.path.startswith("/api/")


def _no_page(request: web.Request) -> web.Response:
    """Return the page that leads back to the box's, from whatever depth below it was asked for."""
    base = "../" * (request.path.count("/") - 1) or "./"
    text = (_STATIC / "missing.html").read_text().replace('<base href="./">', f'<base href="{base}">')
    return web.Response(text=text, status=404, content_type="text/html")


def _error(status: int, text: str) -> web.Response:
    return web.json_response({"error": {"message": text}}, status=status)


def _part(jpeg: bytes) -> bytes:
    head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
    return head.encode() + jpeg + b"\r\n"


@contextlib.asynccontextmanager
async def serving(page: Page, listen: str) -> AsyncIterator[int]:
    """Serve while this is open, give the port; raise OSError if the address cannot be taken."""
    host, port = address(listen)
    runner = web.AppRunner(page.application(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    assert runner.server is not None
    door = Door(runner.server)
    page.on_known = door.know
    try:
        server = await asyncio.get_running_loop().create_server(door, host, port)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
    finally:
        await runner.cleanup()
        door.close()


async def keep_serving(box: Box, state_dir: Path, listen: str) -> None:
    """Serve the page for ever. A port that is taken is told, and tried again: the box counts on meanwhile."""
    told = ""
    while True:
        try:
            async with serving(Page(box, token.ensure(state_dir)), listen) as port:
                told = ""
                _LOG.info("the page listens at %s, port %d", listen, port)
                await asyncio.Event().wait()
        except OSError as error:
            if str(error) != told:
                _LOG.warning("the page cannot be served at %s: %s", listen, error.strerror or error)
            told = str(error)
        await asyncio.sleep(AGAIN_SECONDS)
