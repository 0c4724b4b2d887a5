"""Who comes in and what they may do: users, sessions, tokens, proxies, roles, rights by site, audit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession, CookieJar

from agent import wire
from aggregator import auth, stream
from aggregator.api import OUTSIDE, PREFIX, ROUTES
from aggregator.centre import Centre
from aggregator.openapi import Route
from aggregator.people import passwords
from deploy.stack import Stack

from .box import Box, batch, box, centre, crossing, settings, until
from .test_api import BEARER, Reader, get, scene, served


async def call(client: ClientSession, method: str, path: str, body: Any = None, **headers: str) -> Any:
    """Return (status, JSON) of a request."""
    async with client.request(method, PREFIX + path, json=body, headers=headers) as response:
        return response.status, await response.json()


async def code(client: ClientSession, method: str, path: str, body: Any = None, **headers: str) -> Any:
    """Return (status, the code of the refusal) of a request."""
    status, found = await call(client, method, path, body, **headers)
    return status, found.get("error", {}).get("code", "")


@asynccontextmanager
async def as_user(client: ClientSession, user: str, password: str) -> AsyncIterator[ClientSession]:
    """Give a browser in which somebody is logged in."""
    base = client._base_url
    own = {"Origin": str(base).rstrip("/")}
    async with ClientSession(base, cookie_jar=CookieJar(unsafe=True), headers=own) as browser:
        assert (await call(browser, "POST", "/login", {"user": user, "password": password}))[0] == 200
        yield browser


# ── users, sessions, tokens ───────────────────────────────────────────────────────────────────────


async def test_the_token_makes_the_first_administrator(stack: Stack) -> None:
    """With the printed token one is told that nobody has a name yet, and makes the first administrator."""
    async with scene(stack, "first-a") as (running, _, client):
        assert (await get(client, "/me"))["first"] is True
        new = {"user": "Anna", "password": "a long password", "role": "admin"}
        status, anna = await call(client, "POST", "/users", new)
        assert (status, anna["user"], anna["role"], anna["sites"]) == (201, "Anna", "admin", [])
        assert "password" not in str(anna)
        assert (await get(client, "/me"))["first"] is False
        kept = await running.store.people.user("Anna")
        assert kept is not None
        assert kept["hash"].startswith("$argon2id$")
        assert await code(client, "POST", "/users", new) == (409, "user_exists")
        assert await code(client, "POST", "/users", {**new, "user": "anna", "password": "short"}) == (
            400,
            "bad_request",
        )
        async with as_user(client, "Anna", "a long password") as browser:
            assert (await get(browser, "/me"))["role"] == "admin"
            assert (await get(browser, "/users"))["users"][0]["last_login"] is not None


async def test_names_that_differ_in_case_slash_and_dot_are_different_people(stack: Stack) -> None:
    """Each logs in with their own password only, and changing or removing one leaves the others alone."""
    names = ("anna", "Anna", "an.na", "an/na", "anna.", "ann/a")
    async with scene(stack, "names-1") as (_, _, client):
        for name in names:
            new = {"user": name, "password": f"the password of {name}", "role": "viewer"}
            assert (await call(client, "POST", "/users", new))[0] == 201
        for name in names:
            for other in names:
                login = {"user": name, "password": f"the password of {other}"}
                if name != other and name != "anna":
                    continue
                wanted = 200 if name == other else 401
                assert (await call(client, "POST", "/login", login))[0] == wanted, (name, other)
        assert (await call(client, "PATCH", "/users/an%2Fna", {"role": "operator"}))[1]["user"] == "an/na"
        assert (await call(client, "DELETE", "/users/Anna"))[0] == 200
        left = {one["user"]: one["role"] for one in (await get(client, "/users"))["users"]}
        assert left == {**{name: "viewer" for name in names if name != "Anna"}, "an/na": "operator"}
        assert await code(client, "DELETE", "/users/Anna") == (404, "no_user")


async def test_a_user_of_version_0_3_logs_in_and_is_kept_as_argon2id(stack: Stack) -> None:
    """A scrypt key still opens; from the first login on the password is kept as argon2id."""
    async with scene(stack, "older-u") as (running, _, client):
        key = passwords.scrypt_key("the old password", b"0123456789abcdef")
        row = {"role": "operator", "salt": b"0123456789abcdef", "key": key}
        await running.store._database.users.insert_one({"_id": "olga", **row})
        for _ in range(2):
            async with as_user(client, "olga", "the old password") as browser:
                assert (await get(browser, "/me"))["role"] == "operator"
        kept = await running.store.people.user("olga")
        assert kept is not None
        assert "key" not in kept
        assert "salt" not in kept
        assert kept["hash"].startswith("$argon2id$")


async def test_one_sees_and_ends_sessions_and_what_they_have_open(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sees one's own sessions, an administrator all; an ended one opens nothing and its stream ends."""
    monkeypatch.setattr(stream, "STILL_SECONDS", 0.1)
    monkeypatch.setattr("aggregator.live.PING_SECONDS", 0.2)
    async with scene(stack, "sess-1") as (running, _, client):
        for name in ("vera", "Vera"):
            await auth.add_user(running.store, name, "a long password", "viewer")
        async with (
            as_user(client, "vera", "a long password") as one,
            as_user(client, "vera", "a long password") as two,
            as_user(client, "Vera", "a long password") as other,
        ):
            mine = (await get(one, "/sessions"))["sessions"]
            assert [row["user"] for row in mine] == ["vera", "vera"]
            assert sorted(row["current"] for row in mine) == [False, True]
            (hers,) = (await get(other, "/sessions"))["sessions"]
            assert await code(one, "DELETE", f"/sessions/{hers['id']}") == (404, "no_session")
            assert {row["user"] for row in (await get(client, "/sessions"))["sessions"]} == {"vera", "Vera"}
            ended = next(row["id"] for row in mine if not row["current"])
            async with two.get(f"{PREFIX}/stream") as open_:
                await Reader(open_).next("centre")
                assert (await call(one, "DELETE", f"/sessions/{ended}"))[0] == 200
                async with asyncio.timeout(5):
                    while await open_.content.read(1000):
                        pass
            assert (await code(two, "GET", "/me"))[0] == 401
            assert (await get(one, "/me"))["user"] == "vera"
            change = {"old": "a long password", "new": "a longer password"}
            assert (await call(one, "PUT", "/me/password", {**change, "old": "wrong"}))[0] == 401
            assert (await call(one, "PUT", "/me/password", change))[0] == 200
            assert (await code(one, "GET", "/me"))[0] == 401
        async with as_user(client, "vera", "a longer password"):
            pass


async def test_tokens_have_a_role_an_end_and_a_last_use(stack: Stack) -> None:
    """A token is told once, opens what its role may, says when it was used, and ends with its sessions."""
    async with scene(stack, "token-1") as (running, _, client):
        status, made = await call(client, "POST", "/tokens", {"name": "report", "role": "viewer", "days": 1})
        assert status == 201
        headers = {"Authorization": f"Bearer {made['token']}"}
        (row,) = (await get(client, "/tokens"))["tokens"]
        assert (row["name"], row["role"], row["last_used"], row["token"]) == ("report", "viewer", None, "")
        assert made["token"] not in str([one async for one in running.store._database.tokens.find()])
        async with ClientSession(client._base_url, headers=headers) as program:
            assert (await get(program, "/me"))["user"] == "token:report"
            assert (await code(program, "GET", "/users")) == (403, "not_allowed")
            assert (await get(client, "/tokens"))["tokens"][0]["last_used"] is not None
            async with ClientSession(client._base_url, cookie_jar=CookieJar(unsafe=True)) as browser:
                assert (await call(browser, "POST", "/login", {"token": made["token"]}))[0] == 200
                assert (await get(browser, "/me"))["role"] == "viewer"
                assert (await call(client, "DELETE", f"/tokens/{made['id']}"))[0] == 200
                assert (await code(browser, "GET", "/me"))[0] == 401
            assert await code(program, "GET", "/me") == (401, "wrong_token")
        made = (await call(client, "POST", "/tokens", {"name": "short", "days": 1}))[1]
        await running.store._database.tokens.update_one({"id": made["id"]}, {"$set": {"expires": auth.now()}})
        headers = {"Authorization": f"Bearer {made['token']}"}
        async with ClientSession(client._base_url, headers=headers) as program:
            assert await code(program, "GET", "/me") == (401, "wrong_token")


async def test_the_last_administrator_stays_where_there_is_no_token(stack: Stack) -> None:
    """Nobody can lock everybody out: the last administrator is neither removed nor made less."""
    config = settings(stack.mqtt_url, stack.mongodb_uri, "people_last")
    http = msgspec.structs.replace(config.http, token="")
    async with centre(msgspec.structs.replace(config, http=http)) as running, served(running) as address:
        await auth.add_user(running.store, "only", "a long password", "admin")
        async with ClientSession(address) as nobody, as_user(nobody, "only", "a long password") as only:
            assert await code(only, "DELETE", "/users/only") == (409, "last_admin")
            assert await code(only, "PATCH", "/users/only", {"sites": ["x"]}) == (409, "last_admin")
            assert await code(nobody, "POST", "/login", {"token": ""}) == (401, "wrong_login")


# ── sign-in by a proxy ────────────────────────────────────────────────────────────────────────────


async def test_a_proxys_word_is_believed_from_its_address_only(stack: Stack) -> None:
    """The header signs in from the named address, once, with the role kept here; from elsewhere it is air."""
    config = settings(stack.mqtt_url, stack.mongodb_uri, "people_proxy")
    for proxies, wanted in ((["127.0.0.1"], 200), (["10.9.9.9"], 401)):
        fields = {"sign_in_header": "Remote-User", "sign_in_proxies": proxies}
        http = msgspec.structs.replace(config.http, **fields)
        async with centre(msgspec.structs.replace(config, http=http)) as running, served(running) as address:
            await auth.add_user(running.store, "anna", "a long password", "operator")
            async with ClientSession(address) as client:
                async with client.get(f"{PREFIX}/me", headers={"Remote-User": "anna"}) as response:
                    assert response.status == wanted
                    assert wanted != 200 or (await response.json())["role"] == "operator"
                if wanted == 200:
                    assert await code(client, "GET", "/me", **{"Remote-User": "Anna"}) == (403, "no_user")
                    assert (await code(client, "GET", "/me", **{"Remote-User": "a b"}))[0] == 401
                    both = [("Remote-User", "anna"), ("Remote-User", "boss")]
                    async with client.get(f"{PREFIX}/me", headers=both) as response:
                        assert response.status == 401
                    write = {"Remote-User": "anna", "Origin": "http://evil.example"}
                    assert await code(client, "POST", "/logout", **write) == (403, "wrong_origin")


# ── the table ─────────────────────────────────────────────────────────────────────────────────────

# Who is let through to the operation itself: a = anybody, v = viewer, o = operator, A = administrator, of the
# whole fleet. Behind the stroke: which of them is, if their rights are on another site only.
TABLE = {
    "POST /login": "avoA/voA", "POST /logout": "voA/voA", "GET /me": "voA/voA",
    "GET /fleet": "voA/voA", "GET /fleet/counts": "voA/voA",
    "GET /nodes/{node}": "voA/", "GET /nodes/{node}/counts": "voA/",
    "GET /nodes/{node}/tallies": "voA/", "GET /nodes/{node}/shares": "voA/",
    "GET /nodes/{node}/zones": "voA/", "GET /nodes/{node}/speeds": "voA/",
    "GET /nodes/{node}/trips": "voA/", "GET /nodes/{node}/events": "voA/",
    "GET /nodes/{node}/resources": "voA/", "GET /nodes/{node}/delivery": "voA/",
    "GET /nodes/{node}/pictures": "oA/",
    "PUT /nodes/{node}/cameras/{camera}/lines/{line}": "oA/",
    "DELETE /nodes/{node}/cameras/{camera}/lines/{line}": "oA/",
    "PUT /nodes/{node}/cameras/{camera}/zones/{zone}": "oA/",
    "DELETE /nodes/{node}/cameras/{camera}/zones/{zone}": "oA/",
    "PUT /nodes/{node}/cameras/{camera}/plane": "oA/", "DELETE /nodes/{node}/cameras/{camera}/plane": "oA/",
    "GET /stream": "voA/voA", "GET /nodes/{node}/cameras/{camera}/preview": "oA/",
    "GET /openapi.json": "voA/voA", "POST /nodes/{node}/erase": "A/",
    "GET /users": "A/", "POST /users": "A/", "PATCH /users/{user}": "A/", "DELETE /users/{user}": "A/",
    "PUT /me/password": "voA/voA", "GET /sessions": "voA/voA", "DELETE /sessions/{session}": "voA/voA",
    "GET /tokens": "A/", "POST /tokens": "A/", "DELETE /tokens/{token}": "A/", "GET /audit": "A/",
    "GET /sites": "voA/voA", "GET /sites/{site}": "voA/voA", "PUT /sites/{site}": "A/",
    "DELETE /sites/{site}": "A/", "GET /groups": "voA/voA", "GET /groups/{group}": "voA/voA",
    "PUT /groups/{group}": "A/", "DELETE /groups/{group}": "A/",
    "GET /nodes/{node}/place": "voA/", "PATCH /nodes/{node}/place": "A/",
    "GET /nodes/{node}/cameras/{camera}/settings": "voA/",
    "PUT /nodes/{node}/cameras/{camera}/settings": "oA/",
    "POST /settings": "oA/oA", "GET /nodes/{node}/documents": "voA/", "GET /drift": "voA/voA",
    "GET /profiles": "voA/voA", "PUT /profiles/{profile}": "oA/", "DELETE /profiles/{profile}": "oA/",
    "GET /nodes/{node}/profile": "voA/", "PUT /nodes/{node}/profile": "oA/",
    "DELETE /nodes/{node}/profile": "oA/", "POST /profiles/switch": "oA/oA",
    "GET /alerts/history": "voA/voA", "PATCH /alerts/history/{alert}": "oA/oA",
    "GET /alerts": "voA/", "GET /alerts/{rule}": "voA/", "POST /alerts": "oA/", "PATCH /alerts/{rule}": "oA/",
    "DELETE /alerts/{rule}": "oA/", "POST /alerts/{rule}/test": "oA/",
    "GET /alerts/outlets": "oA/", "PUT /alerts/outlets/{outlet}": "A/",
    "DELETE /alerts/outlets/{outlet}": "A/", "POST /alerts/outlets/{outlet}/test": "oA/",
    "POST /nodes/{node}/commands": "oA/", "GET /nodes/{node}/commands": "oA/",
    "GET /nodes/{node}/commands/{id}": "oA/", "GET /nodes/{node}/commands/{id}/picture": "oA/",
    "GET /invitations": "A/", "POST /invitations": "A/", "DELETE /invitations/{invitation}": "A/",
    "GET /waiting": "A/", "POST /waiting/{box}": "A/", "DELETE /waiting/{box}": "A/", "POST /nodes": "A/",
    "POST /nodes/{node}/replacement": "A/", "DELETE /nodes/{node}": "A/",
    "PUT /nodes/{node}/cameras/{camera}": "A/", "DELETE /nodes/{node}/cameras/{camera}": "A/",
    "POST /nodes/{node}/rename": "A/", "GET /renames": "A/",
    "GET /nodes/{node}/copy": "voA/", "POST /nodes/{node}/copy": "A/",
    "GET /system": "voA/", "GET /metrics": "voA/", "GET /healthz": "avoA/voA",
}  # fmt: skip
REFUSALS = {"login_needed", "not_allowed", "no_node"}
PARTS = {"node": "table-1", "camera": "cam0", "line": "x", "zone": "x", "user": "nobody", "session": "none",
         "token": "none", "site": "there", "group": "none"}  # fmt: skip


def name_of(route: Route) -> str:
    """Return a route as the table names it."""
    return f"{route.method} {route.path}"


async def lets_through(client: ClientSession, route: Route, prefix: str) -> bool:
    """Return whether a request comes as far as the operation itself."""
    path = prefix + route.path.format_map(_Named(PARTS))
    async with client.request(route.method, path, json={}) as response:
        if response.status not in (401, 403, 404):
            return True
        error = (await response.json())["error"]
        return error["code"] not in REFUSALS


class _Named(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "none"


def test_every_route_has_its_row_in_the_table() -> None:
    """A new operation is not forgotten: who may use it is said before it is merged."""
    assert {name_of(route) for route in (*ROUTES, *OUTSIDE)} == set(TABLE)


async def test_every_cell_of_route_and_role(stack: Stack) -> None:
    """Strangers, three roles of the whole fleet and three of another site get what the table says."""
    async with scene(stack, "table-1") as (running, _, client), contextlib.AsyncExitStack() as all_:
        for site in ("here", "there"):
            assert (await call(client, "PUT", f"/sites/{site}", {"title": site}))[0] == 200
        assert (await call(client, "PATCH", "/nodes/table-1/place", {"site": "here"}))[0] == 200
        base = client._base_url
        browsers = {"a": await all_.enter_async_context(ClientSession(base, headers={"Origin": str(base)}))}
        for sign, role in (("v", "viewer"), ("o", "operator"), ("A", "admin")):
            for place, sites in (("", []), ("/", ["there"])):
                made = await call(client, "POST", "/tokens", {"name": "x", "role": role, "sites": sites})
                headers = {"Authorization": f"Bearer {made[1]['token']}"}
                session = ClientSession(base, headers=headers)
                browsers[place + sign] = await all_.enter_async_context(session)
        wrong = []
        removes_the_node = [one for one in ROUTES if name_of(one) == "DELETE /nodes/{node}"]
        others = [(PREFIX, one) for one in ROUTES if one not in removes_the_node]
        others += [("", one) for one in OUTSIDE]
        for prefix, route in others + [(PREFIX, one) for one in removes_the_node]:
            if route.path in ("/stream", "/logout"):
                continue  # the one does not end; the other has tests of its own
            everywhere, _, elsewhere = TABLE[name_of(route)].partition("/")
            for sign, browser in browsers.items():
                wanted = sign[1:] in elsewhere if sign.startswith("/") else sign in everywhere
                if await lets_through(browser, route, prefix) != wanted:
                    wrong.append((name_of(route), sign, wanted))
        assert wrong == []
        await until(lambda: not running.fleet.known("table-1"))


# ── rights by site and group ──────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def two_sites(stack: Stack, name: str) -> AsyncIterator[tuple[Centre, Box, Box, ClientSession]]:
    """A centre with one node in the site `north` and one in `North`, and a group `b.us` with the second."""
    async with scene(stack, f"{name}-n") as (running, one, client), box(stack.mqtt_url, f"{name}-s") as two:
        await two.state()
        await until(lambda: running.fleet.known(two.name))
        for site in ("north", "North", "north/1", "north.1"):
            assert (await call(client, "PUT", f"/sites/{site.replace('/', '%2F')}", {"title": site}))[
                0
            ] == 200
        assert (await call(client, "PUT", "/groups/b.us", {}))[0] == 200
        assert (await call(client, "PATCH", f"/nodes/{one.name}/place", {"site": "north"}))[0] == 200
        place = {"site": "North", "groups": ["b.us"]}
        assert (await call(client, "PATCH", f"/nodes/{two.name}/place", place))[0] == 200
        yield running, one, two, client


async def test_rights_by_site_hide_the_rest_of_the_fleet(stack: Stack) -> None:
    """Who has one site or group sees its nodes, in the list and live, and no trace of another's."""
    async with two_sites(stack, "reach") as (_, one, two, client):
        people = {
            "north": ({"sites": ["north"]}, one.name), "North": ({"sites": ["North"]}, two.name),
            "slash": ({"sites": ["north/1"]}, None), "dot": ({"sites": ["north.1"]}, None),
            "bus": ({"groups": ["b.us"]}, two.name), "Bus": ({"groups": ["b/us"]}, None),
        }  # fmt: skip
        for user, (reach, sees) in people.items():
            new = {"user": user, "password": "a long password", "role": "operator", **reach}
            assert (await call(client, "POST", "/users", new))[0] == 201
            async with as_user(client, user, "a long password") as browser:
                nodes = [node["node"] for node in (await get(browser, "/fleet"))["nodes"]]
                assert nodes == ([sees] if sees else []), user
                for node in (one.name, two.name):
                    wanted = (200, "") if node == sees else (404, "no_node")
                    assert await code(browser, "GET", f"/nodes/{node}") == wanted, (user, node)
                    line = f"/nodes/{node}/cameras/cam0/lines/x"
                    status = (await code(browser, "PUT", line, {"points": [[0, 0.5], [1, 0.5]]}))[0]
                    assert status == (202 if node == sees else 404)
                seen = {row["site"] for row in (await get(browser, "/sites"))["sites"]}
                assert seen <= {"north", "North", "north/1", "north.1"}
                assert ("north" in seen) == (user == "north")


LOOK_ALIKES = (
    {"sites": ["North"]}, {"sites": ["NORTH"]}, {"sites": ["north/1"]}, {"sites": ["north.1"]},
    {"sites": ["north "]}, {"groups": ["north"]}, {"groups": ["B.us"]}, {"groups": ["b/us"]},
)  # fmt: skip


async def test_no_route_tells_of_a_node_whose_site_is_only_spelt_alike(stack: Stack) -> None:
    """Administrators of sites and groups that differ by case, slash, dot or space: every route about the node
    refuses it as one that does not exist, and no list, answer or refusal names it.
    """
    async with two_sites(stack, "alike") as (_, one, _two, client), contextlib.AsyncExitStack() as all_:
        for reach in LOOK_ALIKES:
            made = await call(client, "POST", "/tokens", {"name": "x", "role": "admin", **reach})
            if made[0] != 201:
                continue  # no such name can be
            headers = {"Authorization": f"Bearer {made[1]['token']}"}
            browser = await all_.enter_async_context(ClientSession(client._base_url, headers=headers))
            for route in ROUTES:
                if route.path in ("/stream", "/logout"):
                    continue
                path = PREFIX + route.path.format_map(_Named({**PARTS, "node": one.name}))
                async with browser.request(route.method, path, json={}) as response:
                    text = await response.text()
                if "{node}" in route.path:
                    assert response.status in (403, 404), (name_of(route), reach)
                    text = text.replace(one.name, "", 1)  # the words of a refusal say what was asked for
                assert one.name not in text, (name_of(route), reach)


async def test_a_stream_tells_only_of_the_nodes_that_one_may_see(stack: Stack) -> None:
    """Two who watch at once each get the facts and entries of their own site; resuming leaks nothing."""
    async with two_sites(stack, "strm") as (running, one, two, client), contextlib.AsyncExitStack() as all_:
        readers = {}
        for site, node in (("north", one), ("North", two)):
            new = {"user": site, "password": "a long password", "sites": [site]}
            assert (await call(client, "POST", "/users", new))[0] == 201
            browser = await all_.enter_async_context(as_user(client, site, "a long password"))
            response = await all_.enter_async_context(browser.get(f"{PREFIX}/stream"))
            readers[node.name] = (Reader(response), browser)
            assert (await readers[node.name][0].next("node"))[1]["node"] == node.name
        for node in (one, two):
            await node.send(batch(7, 1, [crossing(1)]))
            await until(lambda node=node: node.acked)  # type: ignore[misc]
        for name, (reader, browser) in readers.items():
            id_, fact = await reader.next("fact")
            assert (fact["node"], id_) == (name, f"{name}:7:1:0")
            with pytest.raises(TimeoutError):
                await reader.next("fact", 0.3)
            other = two.name if name == one.name else one.name
            for query in ("", f"?node={other}", f"?node={other}&camera=cam0"):
                headers = {"Last-Event-ID": f"{other}:7:0:0"}
                async with browser.get(f"{PREFIX}/stream{query}", headers=headers) as response:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(0.4):
                            text = b""
                            while chunk := await response.content.readany():
                                text += chunk
                                assert other.encode() not in text, query
        assert not any(wire.Command and command for command in two.commands + one.commands)
        assert running.fleet.known(one.name)


async def test_what_a_scoped_person_is_told_of_a_hidden_node_is_what_is_told_of_none(stack: Stack) -> None:
    """A node of another site and a node that does not exist are refused in the same words."""
    async with two_sites(stack, "same") as (_, _, two, client):
        made = (await call(client, "POST", "/tokens", {"name": "n", "role": "admin", "sites": ["north"]}))[1]
        headers = {"Authorization": f"Bearer {made['token']}"}
        async with ClientSession(client._base_url, headers=headers) as program:
            answers = [
                str(await call(program, "GET", f"/nodes/{name}/counts")).replace(name, "?")
                for name in (two.name, "nobody")
            ]
            assert answers[0] == answers[1]
            assert await code(program, "GET", "/users") == (403, "not_allowed")


# ── the audit log ─────────────────────────────────────────────────────────────────────────────────


async def test_the_audit_log_says_who_did_what_and_is_searched(stack: Stack) -> None:
    """Logins, users, places and lines are there with who, when and from where; found by field and by text."""
    async with scene(stack, "audit-1") as (running, _, client):
        await auth.add_user(running.store, "otto", "a long password", "operator")
        async with as_user(client, "otto", "a long password") as otto:
            line = "/nodes/audit-1/cameras/cam0/lines/gate.1"
            assert (await call(otto, "PUT", line, {"points": [[0, 0.5], [1, 0.5]]}))[0] == 202
            assert (await code(otto, "GET", "/audit")) == (403, "not_allowed")
        assert (await call(client, "PUT", "/sites/here", {"title": "Here (x)"}))[0] == 200
        entries = (await get(client, "/audit"))["entries"]
        assert [entry["action"] for entry in entries] == ["put site", "put line cam0/gate.1", "log in"]
        assert [entry["user"] for entry in entries] == ["token", "otto", "otto"]
        assert all(entry["at"] > 1_700_000_000_000 for entry in entries)
        assert entries[0]["address"] == "127.0.0.1"
        for query, found in (
            ({"user": "otto"}, 2), ({"user": "Otto"}, 0), ({"q": "GATE.1"}, 1), ({"q": "gate?1"}, 0),
            ({"node": "audit-1"}, 1), ({"action": "log in"}, 1), ({"limit": "2"}, 2), ({"to": "0"}, 0),
            ({"q": "here"}, 1),
        ):  # fmt: skip
            if query.get("to") == "0":
                query = {"from": "2020-01-01", "to": "2020-01-02"}
            assert len((await get(client, "/audit", **query))["entries"]) == found, query
        page = (await get(client, "/audit", after=entries[0]["id"], limit="1"))["entries"]
        assert page == entries[1:2]
        async with client.get(f"{PREFIX}/audit?after=x") as response:
            assert response.status == 400


async def test_answers_of_the_api_are_kept_by_nobody(stack: Stack) -> None:
    """No cache between may hand one person's answer to another."""
    async with scene(stack, "cache-1") as (_, _, client):
        for path in ("/fleet", "/me", "/nodes/cache-1"):
            async with client.get(PREFIX + path, headers=BEARER) as response:
                assert response.headers["Cache-Control"] == "no-store"
