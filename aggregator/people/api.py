"""Requests about users, sessions, tokens and the audit log.

What always holds: a secret is in one answer at most, that which made it. Only an administrator of the whole
fleet says who comes in; everybody sees and ends their own sessions, and changes their own password.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web
from msgspec import UNSET, structs

from aggregator import auth
from aggregator.openapi import Route, answer
from aggregator.params import CENTRE, IDENTITY, bad, body_of, client_of, limit_of, record, span_of
from aggregator.people import passwords, schemas
from aggregator.people.identity import Refused
from aggregator.people.proxy import USER_NAME
from aggregator.schemas import Nothing
from aggregator.site_time import now
from aggregator.store.audit import is_id

_AUDIT_EQUAL = ("user", "node", "action", "role")


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)


# ── users ─────────────────────────────────────────────────────────────────────────────────────────


def _user(row: dict[str, Any]) -> schemas.User:
    return schemas.User(
        user=row["_id"],
        role=row["role"],
        sites=row.get("sites", []),
        groups=row.get("groups", []),
        created=_ms(row.get("created")),
        last_login=_ms(row.get("last_login")),
    )


async def list_users(request: web.Request) -> web.Response:
    """Show who may come in."""
    rows = await request.app[CENTRE].store.people.users()
    return answer(schemas.Users([_user(row) for row in rows]))


async def add_user(request: web.Request) -> web.Response:
    """Add a user."""
    body = await body_of(request, schemas.NewUser)
    if not USER_NAME.fullmatch(body.user) or body.user == auth.MASTER:
        raise bad(f"user: 1 to 64 letters, digits and ._@+/-, and not {auth.MASTER!r}")
    people = request.app[CENTRE].store.people
    fields = structs.asdict(body)
    del fields["user"]
    fields["hash"] = await asyncio.to_thread(passwords.hashed, fields.pop("password"))
    if not await people.add_user(body.user, fields):
        raise Refused(409, "user_exists", f"there is a user {body.user} already: change that one")
    await record(request, "add user", what=body.user, new_role=body.role)
    return answer(_user(await people.user(body.user) or {}), 201)


async def change_user(request: web.Request) -> web.Response:
    """Change a user's password, role or reach; their sessions end."""
    name = request.match_info["user"]
    body = await body_of(request, schemas.UserChange)
    people = request.app[CENTRE].store.people
    found = await _existing(request, name)
    fields = {key: value for key, value in structs.asdict(body).items() if value is not UNSET}
    if not fields:
        raise bad("nothing to change: give password, role, sites or groups")
    after = {**found, **fields}
    if after["role"] != "admin" or after.get("sites") or after.get("groups"):
        await _keep_an_admin(request, name)
    changed = ", ".join(sorted(fields))
    if "password" in fields:
        fields["hash"] = await asyncio.to_thread(passwords.hashed, fields.pop("password"))
    await people.save_user(name, fields)
    await record(request, "change user", what=name, changed=changed)
    return answer(_user(await people.user(name) or after))


async def delete_user(request: web.Request) -> web.Response:
    """Take a user out; their sessions end."""
    name = request.match_info["user"]
    await _existing(request, name)
    await _keep_an_admin(request, name)
    await request.app[CENTRE].store.people.remove_user(name)
    await record(request, "delete user", what=name)
    return answer(Nothing())


async def _existing(request: web.Request, name: str) -> dict[str, Any]:
    found = await request.app[CENTRE].store.people.user(name)
    if found is None:
        raise Refused(404, "no_user", f"there is no user {name[:64]!r}")
    return found


async def _keep_an_admin(request: web.Request, name: str) -> None:
    """Raise Refused if without this user nobody could administer the centre any more."""
    centre = request.app[CENTRE]
    others = [
        row
        for row in await centre.store.people.users()
        if row["_id"] != name and row["role"] == "admin" and auth.reach_of(row).whole
    ]
    if not others and not centre.auth.has_master:
        raise Refused(409, "last_admin", f"{name} is the last administrator: make another one first")


async def change_password(request: web.Request) -> web.Response:
    """Change one's own password; all of one's sessions end."""
    body = await body_of(request, schemas.PasswordChange)
    centre = request.app[CENTRE]
    user = request[IDENTITY].user
    if await centre.store.people.user(user) is None:
        raise Refused(409, "no_password", f"{user} has no password here")
    await centre.auth.checked_password(user, body.old, client_of(request))
    hash_ = await asyncio.to_thread(passwords.hashed, body.new)
    await centre.store.people.save_user(user, {"hash": hash_})
    await record(request, "change password", what=user)
    return answer(Nothing())


# ── sessions ──────────────────────────────────────────────────────────────────────────────────────


def _everybodys(request: web.Request) -> bool:
    """Return whether the one who asks looks after everybody's sessions."""
    identity = request[IDENTITY]
    return identity.may("admin") and identity.reach.whole


async def list_sessions(request: web.Request) -> web.Response:
    """Show who is logged in: oneself, or to an administrator everybody."""
    identity = request[IDENTITY]
    rows = await request.app[CENTRE].store.people.sessions("" if _everybodys(request) else identity.user)
    found = [
        schemas.Session(
            id=row.get("id", ""),
            user=row["user"],
            role=row["role"],
            created=_ms(row.get("created")),
            seen=_ms(row.get("seen")),
            expires=_ms(row["expires"]),
            address=row.get("address", ""),
            agent=row.get("agent", ""),
            current=row["_id"] == identity.session,
        )
        for row in rows
    ]
    return answer(schemas.Sessions(found))


async def end_session(request: web.Request) -> web.Response:
    """End a session; what it has open ends within seconds."""
    id_ = request.match_info["session"]
    user = "" if _everybodys(request) else request[IDENTITY].user
    ended = await request.app[CENTRE].store.people.end_session_named(id_, user) if id_ else None
    if ended is None:
        raise Refused(404, "no_session", "there is no such session")
    await record(request, "end session", what=ended["user"])
    return answer(Nothing())


# ── tokens ────────────────────────────────────────────────────────────────────────────────────────


def _token(row: dict[str, Any], secret: str = "") -> schemas.Token:
    return schemas.Token(
        id=row["id"],
        name=row["name"],
        role=row["role"],
        sites=row.get("sites", []),
        groups=row.get("groups", []),
        created=_ms(row.get("created")),
        expires=_ms(row.get("expires")),
        last_used=_ms(row.get("last_used")),
        by=row.get("by", ""),
        token=secret,
    )


async def list_tokens(request: web.Request) -> web.Response:
    """Show the tokens of programs, never their secrets."""
    rows = await request.app[CENTRE].store.people.tokens()
    return answer(schemas.Tokens([_token(row) for row in rows]))


async def add_token(request: web.Request) -> web.Response:
    """Make a token; this answer alone holds it."""
    body = await body_of(request, schemas.NewToken)
    secret, key = auth.new_token()
    row = {
        "id": secrets.token_hex(8), "name": body.name, "role": body.role, "by": request[IDENTITY].user,
        "sites": body.sites, "groups": body.groups,
        "expires": now() + timedelta(days=body.days) if body.days else None,
    }  # fmt: skip
    await request.app[CENTRE].store.people.add_token(key, row)
    await record(request, "add token", what=body.name, new_role=body.role)
    return answer(_token({**row, "created": now()}, secret), 201)


async def delete_token(request: web.Request) -> web.Response:
    """Take a token away; from now on it opens nothing."""
    gone = await request.app[CENTRE].store.people.remove_token(request.match_info["token"])
    if gone is None:
        raise Refused(404, "no_token", "there is no such token")
    await record(request, "delete token", what=gone["name"])
    return answer(Nothing())


# ── the audit log ─────────────────────────────────────────────────────────────────────────────────


def _entry(row: dict[str, Any]) -> schemas.AuditEntry:
    known = {"_id", "at", "user", "role", "action", "node", "what", "address"}
    return schemas.AuditEntry(
        id=str(row["_id"]),
        at=_ms(row["at"]) or 0,
        user=row.get("user", ""),
        role=row.get("role", ""),
        action=row.get("action", ""),
        node=row.get("node", ""),
        what=row.get("what", ""),
        address=row.get("address", ""),
        more={key: _plain(value) for key, value in row.items() if key not in known},
    )


def _plain(value: Any) -> Any:
    return (
        _ms(value) if isinstance(value, datetime) else value if isinstance(value, int | float) else str(value)
    )


async def audit(request: web.Request) -> web.Response:
    """Search who did what, newest first."""
    equal = {name: request.query[name] for name in _AUDIT_EQUAL if request.query.get(name)}
    since, until = (datetime.fromtimestamp(at / 1000, UTC) for at in span_of(request))
    after = request.query.get("after", "")
    if after and not is_id(after):
        raise bad(f"after: {after[:60]!r} is no entry's id")
    text = re.sub(r"[\x00-\x1f]", "", request.query.get("q", ""))[:100]
    rows = await request.app[CENTRE].store.audit.find(
        equal, text, (since, until), after, limit_of(request, 200)
    )
    return answer(schemas.AuditLog([_entry(row) for row in rows]))


ROUTES = (
    Route("GET", "/users", list_users, "Who may come in", "admin", schemas.Users, whole=True),
    Route("POST", "/users", add_user, "Add a user", "admin", schemas.User, schemas.NewUser,
          status=201, whole=True),
    Route("PATCH", "/users/{user}", change_user, "Change a user", "admin", schemas.User, schemas.UserChange,
          whole=True),
    Route("DELETE", "/users/{user}", delete_user, "Take a user out", "admin", Nothing, whole=True),
    Route("PUT", "/me/password", change_password, "Change one's own password", "viewer", Nothing,
          schemas.PasswordChange),
    Route("GET", "/sessions", list_sessions, "Who is logged in", answer=schemas.Sessions),
    Route("DELETE", "/sessions/{session}", end_session, "End a session", answer=Nothing),
    Route("GET", "/tokens", list_tokens, "Tokens of programs", "admin", schemas.Tokens, whole=True),
    Route("POST", "/tokens", add_token, "Make a token", "admin", schemas.Token, schemas.NewToken,
          status=201, whole=True),
    Route("DELETE", "/tokens/{token}", delete_token, "Take a token away", "admin", Nothing, whole=True),
    Route("GET", "/audit", audit, "Who did what", "admin", schemas.AuditLog, whole=True,
          query=("user", "node", "action", "role", "q", "from", "to", "after", "limit")),
)  # fmt: skip
