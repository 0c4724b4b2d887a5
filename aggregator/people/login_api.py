"""Requests at the door: log in, log out, who asks."""

from __future__ import annotations

from aiohttp import web

from aggregator import auth, schemas
from aggregator.openapi import Route, answer
from aggregator.params import CENTRE, IDENTITY, body_of, client_of, record


async def login(request: web.Request) -> web.Response:
    """Log in; the cookie is for the page and its EventSource."""
    centre = request.app[CENTRE]
    centre.auth.check_origin(request.headers, required=False)
    body = await body_of(request, schemas.LoginBody)
    old = auth.session_secrets(request.headers)
    identity, secret = await centre.auth.login(
        body.token, body.user, body.password, client_of(request), old, body.path,
        request.headers.get("User-Agent", ""),
    )  # fmt: skip
    request[IDENTITY] = identity
    await record(request, "log in")
    response = answer(schemas.Role(identity.role))
    by_https = request.secure or request.headers.get("Origin", "").lower().startswith("https://")
    response.set_cookie(
        auth.COOKIE, secret, httponly=True, samesite="Strict", path=body.path,
        secure=centre.config.http.secure_cookie or by_https, max_age=centre.config.http.session_hours * 3600,
    )  # fmt: skip
    return response


async def logout(request: web.Request) -> web.Response:
    """End this session."""
    path = await request.app[CENTRE].auth.logout(request.headers)
    response = answer(schemas.Nothing())
    response.del_cookie(auth.COOKIE, path=path)
    return response


async def me(request: web.Request) -> web.Response:
    """Say who asks."""
    centre = request.app[CENTRE]
    identity = request[IDENTITY]
    site = schemas.Site(centre.config.site.timezone)
    is_first = identity.user == auth.MASTER and not await centre.store.people.users()
    reach = identity.reach
    return answer(
        schemas.Me(identity.user, identity.role, site, sorted(reach.sites), sorted(reach.groups), is_first)
    )


ROUTES = (
    Route("POST", "/login", login, "Log in", "", schemas.Role, schemas.LoginBody),
    Route("POST", "/logout", logout, "Log out", "viewer", schemas.Nothing),
    Route("GET", "/me", me, "Who asks", answer=schemas.Me),
)
