"""The web server: the API's routes, the page's files, and what every answer has in common.

What always holds: nothing but the login, the health check and the page's own files is given to somebody who
is not logged in; an error is one shape, or to a person a page, and never a traceback; the page may run only
its own scripts.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from aggregator import schemas, tls
from aggregator.api import OUTSIDE, PREFIX, ROUTES
from aggregator.auth import Refused
from aggregator.centre import Centre
from aggregator.connections import connection_of
from aggregator.error_page import error_page, up, wants
from aggregator.openapi import Route, answer
from aggregator.params import CENTRE, IDENTITY, client_of, no_node
from aggregator.store.errors import StoreError

_LOG = logging.getLogger(__name__)
STATIC = Path(__file__).parent / "static"
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'self'; "
        "frame-ancestors 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_BODY_BYTES = 64 * 1024
_BEGUN: web.RequestKey[bool] = web.RequestKey("begun", bool)
_PAGES = re.compile(r"((nodes(/[^/]*)?|alerts|counts|manage(/\w*)?|system)/?)?")  # as web/src/router.ts
_CODES = {404: "not_found", 405: "wrong_method", 413: "too_large"}


class ServeError(Exception):
    """The page cannot be served; the text says what to do."""


def make_app(centre: Centre) -> web.Application:
    """Return the application, ready to be served."""
    app = web.Application(middlewares=[_timed, _errors, _by_https], client_max_size=_BODY_BYTES)
    app[CENTRE] = centre
    app.on_response_prepare.append(_dress)
    for base in dict.fromkeys((centre.config.http.base_path, "")):
        if base:
            app.router.add_get(base, _to_folder)
        for prefix, routes in ((base + PREFIX, ROUTES), (base, OUTSIDE)):
            for route in routes:
                app.router.add_route(route.method, prefix + route.path, _guarded(route))
        app.router.add_get(base + "/{path:.*}", _page)
    return app


async def _to_folder(request: web.Request) -> web.StreamResponse:
    raise web.HTTPPermanentRedirect(f"{request.path}/")


def _guarded(route: Route) -> Handler:
    """Let only those in who have the route's role."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if route.role:
            identity = await request.app[CENTRE].auth.identify(
                request.method, request.headers, request.cookies, client_of(request), request.remote or ""
            )
            if connection := connection_of(request):
                connection.is_known()
            if not identity.may(route.role):
                raise Refused(403, "not_allowed", f"this needs the role {route.role}")
            if route.whole and not identity.reach.whole:
                raise Refused(403, "not_allowed", "this needs rights on the whole fleet")
            node = request.match_info.get("node")
            if node is not None and not request.app[CENTRE].places.sees(identity.reach, node):
                raise no_node(node)
            request[IDENTITY] = identity
        return await route.handler(request)

    return handle


@web.middleware
async def _timed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tell the connection that a request is being dealt with."""
    connection = connection_of(request)
    if connection is None:
        return await handler(request)
    connection.begins()
    try:
        return await handler(request)
    finally:
        connection.ends()


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give every refusal the one shape."""
    try:
        return await handler(request)
    except Refused as error:
        response = _error(request, error.status, error.code, str(error), error.details)
        if error.status == 429:
            response.headers["Retry-After"] = "60"
        return response
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _error(request, error.status, _CODES.get(error.status, "refused"), error.reason)
    except StoreError as error:
        _LOG.warning("%s %s: %s", request.method, request.path, error)
        text = "The database does not answer now; try again in a moment"
        return _error(request, 503, "database_away", text)
    except ConnectionError:
        raise  # the client has gone
    except Exception:  # what nobody expected: the log gets the traceback, the client the one shape
        if request.get(_BEGUN):
            raise  # half an answer cannot become an error
        _LOG.exception("%s %s", request.method, request.path)
        return _error(request, 500, "internal", "Something went wrong here; the log says more")


@web.middleware
async def _by_https(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Send who came by plain HTTP to https, where the page is served by it."""
    http = request.app[CENTRE].config.http
    if http.tls:
        tls.redirect(request, http.proxies)
    return await handler(request)


def _error(
    request: web.Request, status: int, code: str, message: str, details: dict[str, Any] | None = None
) -> web.Response:
    if wants(request):
        return error_page(request, status, message)
    return answer(schemas.Error(schemas.Reason(code, message, details)), status)


async def _dress(request: web.Request, response: web.StreamResponse) -> None:
    request[_BEGUN] = True
    for name, value in _HEADERS.items():
        response.headers[name] = value
    of_the_api = f"{PREFIX}/" in request.path  # what one is told is nobody else's
    response.headers.setdefault("Cache-Control", "no-store" if of_the_api else "no-cache")


async def _page(request: web.Request) -> web.StreamResponse:
    """Serve the page: a file of the bundle, or the one page for every path that it routes itself."""
    path = request.match_info["path"]
    if path.startswith(("api/", ".")):
        raise web.HTTPNotFound
    index = STATIC / "index.html"
    if _PAGES.fullmatch(path):
        if not index.exists():
            raise Refused(503, "no_page", "The page is not built: run `make setup`, then start again")
        return _index(index, path)
    try:
        file = (STATIC / path).resolve()
        if file.is_relative_to(STATIC.resolve()) and file.is_file():
            return web.FileResponse(file)
    except (ValueError, OSError):
        pass
    raise web.HTTPNotFound


def _index(file: Path, path: str) -> web.Response:
    """Return the one page, told how far below its own folder it is asked for.

    So it finds its parts and the API below whatever path a proxy has put it, and nobody has to say which.
    """
    text = file.read_text().replace('<base href="./" />', f'<base href="{up(path)}" />')
    return web.Response(text=text, content_type="text/html")
