"""The door: who comes in, by a token, a name and a password, a session's cookie, or a proxy's word.

What always holds: no secret is stored. Passwords are kept as argon2id, sessions and tokens under the hash of
their secret; every login makes a new session. Guessing is slowed down by user and address, a token's also
where it comes as a header; the right token is never kept waiting by others' failures. A write that a browser
carries by itself (cookie, proxy) must come from our own page (`Origin`), so that another site cannot make it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from aggregator import origin
from aggregator.people import passwords
from aggregator.people.identity import ROLES, Identity, Reach, Refused
from aggregator.people.limiter import FAILURES_OF_ALL, Limiter
from aggregator.people.proxy import ProxySignIn
from aggregator.site_time import now
from aggregator.store.store import Store

__all__ = ["COOKIE", "ROLES", "Auth", "Identity", "Limiter", "Reach", "Refused", "add_user", "check_origin"]

COOKIE = "gb_session"
LONG_TOKEN = 16  # characters of a token that nobody can guess
MASTER = "token"  # who uses the administrator's token is called so
_COOKIES = re.compile(rf"(?:^|;)\s*{COOKIE}=([^;\s]+)")
_MOST_COOKIES = 4
_SEEN = timedelta(minutes=1)
_WRONG_TOKEN = "That is not this centre's token"
_WRONG_PASSWORD = "No user has that name and password"
_READ_ONLY = ("GET", "HEAD", "OPTIONS")


async def add_user(store: Store, name: str, password: str, role: str) -> None:
    """Add a user of the whole fleet, or change their password and role."""
    hash_ = await asyncio.to_thread(passwords.hashed, password)
    await store.people.save_user(name, {"role": role, "hash": hash_})


class Auth:
    """The door of one aggregator."""

    def __init__(
        self,
        store: Store,
        token: str,
        session_hours: int,
        origins: Collection[str] = (),
        proxy: ProxySignIn | None = None,
    ) -> None:
        self._people = store.people
        self._origins = frozenset(map(origin.normal, origins))
        self._token = token
        self._session = timedelta(hours=session_hours)
        self._proxy = proxy
        self._limiter = Limiter()
        self._attempts = asyncio.Semaphore(2)  # each takes 19 MB, and many at once must not outrun the limit

    @property
    def has_master(self) -> bool:
        """True if there is an administrator's token, so that nobody can lock everybody out."""
        return bool(self._token)

    # ── in and out ──

    async def login(
        self,
        token: str,
        user: str,
        password: str,
        address: str,
        old: Collection[str] = (),
        path: str = "/",
        agent: str = "",
    ) -> tuple[Identity, str]:
        """Check a token or a password; return who it is and the new session's secret.

        Args:
            token, user, password: a token, or a name with its password.
            address: whose failures are counted together.
            old: the secrets of sessions that the browser offers; all of them end, and none is taken over.
            path: below which the browser will send the cookie.
            agent: how the browser calls itself, for the list of sessions.

        Raises:
            Refused: it is wrong, or was tried too often.
        """
        wrong = Refused(401, "wrong_login", _WRONG_TOKEN)
        expires = now() + self._session
        if token:
            identity = await self._by_token(token, address, wrong)
            kept = await self._people.token(_hash(token))
            expires = min(expires, (kept or {}).get("expires") or expires)
        else:
            identity = await self.checked_password(user, password, address)
        for offered in old:
            await self._people.end_session(_hash(offered))
        secret = secrets.token_urlsafe(32)
        fields = {
            "id": secrets.token_hex(8), "user": identity.user, "role": identity.role,
            "sites": sorted(identity.reach.sites), "groups": sorted(identity.reach.groups),
            "token": identity.token, "expires": expires, "path": path,
            "address": address, "agent": agent[:200],
        }  # fmt: skip
        await self._people.add_session(_hash(secret), fields)
        return identity, secret

    async def logout(self, headers: Mapping[str, str]) -> str:
        """End the session of a request; return the path of its cookie."""
        ended = [await self._people.end_session(_hash(secret)) for secret in session_secrets(headers)]
        return next((row.get("path", "/") for row in ended if row), "/")

    def check_origin(self, headers: Mapping[str, str], *, required: bool) -> None:
        """Raise Refused if a browser says that the request comes from another site's page."""
        check_origin(headers, required=required, trusted=self._origins)

    # ── who asks ──

    async def identify(
        self,
        method: str,
        headers: Mapping[str, str],
        cookies: Mapping[str, str],
        address: str = "",
        peer: str = "",
    ) -> Identity:
        """Return who asks; raise Refused if nobody is logged in or the write comes from elsewhere.

        `peer`: the address at the other end of the connection, whose word may stand for a login.
        """
        bearer = headers.get("Authorization", "")
        if bearer and bearer.partition(" ")[0].lower() == "bearer":
            token = bearer.partition(" ")[2].strip()
            return await self._by_token(
                token, address, Refused(401, "wrong_token", "That token is not right")
            )
        identity = await self._proxy.identity(self._people, headers, peer) if self._proxy else None
        if identity is None and bearer and not (self._proxy and self._proxy.trusts(peer)):
            raise Refused(401, "wrong_token", "That token is not right")
        identity = identity or await self._by_session(headers)
        if identity is None:
            raise Refused(401, "login_needed", "Log in first")
        if method not in _READ_ONLY:
            self.check_origin(headers, required=True)
        return identity

    async def still_in(self, identity: Identity) -> bool:
        """Return whether the session or the token by which somebody came in is good still."""
        if identity.session:
            return await self._people.session(identity.session) is not None
        if identity.token:
            return any(row["id"] == identity.token and not _over(row) for row in await self._people.tokens())
        return True

    async def _by_session(self, headers: Mapping[str, str]) -> Identity | None:
        for secret in session_secrets(headers):
            key = _hash(secret)
            session = await self._people.session(key)
            if session is not None:
                seen: datetime = session["seen"] if "seen" in session else session["expires"]
                if now() - seen > _SEEN:
                    await self._people.see_session(key)
                return Identity(
                    session["user"], session["role"], reach_of(session), key, session.get("token", "")
                )
        return None

    async def _by_token(self, token: str, address: str, wrong: Refused) -> Identity:
        """Return who has this token; raise `wrong`, or that it was tried too often.

        The right one is let in however often others of its address failed: behind a proxy all have one
        address. It is too long to be guessed; one that is not (it serves this machine only) has to wait too.
        """
        at = time.monotonic()
        key = f"{address} token"
        master = self._token and hmac.compare_digest(_as_sent(token), self._token.encode())
        kept = await self._people.token(_hash(token)) if token and not master else None
        if kept is not None:
            used: datetime = kept["last_used"] if "last_used" in kept else kept["created"] - _SEEN
            if now() - used >= _SEEN:
                await self._people.use_token(kept["_id"])
            return Identity(f"token:{kept['name']}", kept["role"], reach_of(kept), token=kept["id"])
        if not master or len(self._token) < LONG_TOKEN:
            self._limiter.check(key, at)
        if not master:
            self._limiter.fail(key, at)
            raise wrong
        return Identity(MASTER, "admin")

    async def checked_password(self, user: str, password: str, address: str) -> Identity:
        """Return who has this name and password; raise Refused."""
        async with self._attempts:
            at = time.monotonic()
            one = f"{address} user {user}"
            self._limiter.check(one, at)
            self._limiter.check(address, at, FAILURES_OF_ALL)
            identity = await self._by_password(user, password)
            if identity is None:
                self._limiter.fail(one, at)
                self._limiter.fail(address, at)
                raise Refused(401, "wrong_login", _WRONG_PASSWORD)
        return identity

    async def _by_password(self, name: str, password: str) -> Identity | None:
        found = await self._people.user(name) if name else None
        if not await asyncio.to_thread(passwords.fits, password, found) or found is None:
            return None
        outdated = passwords.is_outdated(found)
        fresh = await asyncio.to_thread(passwords.hashed, password) if outdated else ""
        await self._people.note_login(name, fresh)
        return Identity(name, found["role"], reach_of(found))


def reach_of(row: Mapping[str, Any]) -> Reach:
    """Return what a user, a session or a token reaches."""
    return Reach.of(row.get("sites", ()), row.get("groups", ()))


def check_origin(headers: Mapping[str, str], *, required: bool, trusted: Collection[str] = ()) -> None:
    """Raise Refused if a browser says that the request comes from another site's page.

    `trusted`: origins that are ours as well, as `origin.normal` writes them.
    """
    if not required and not headers.get("Origin", ""):
        return
    if why := origin.refusal(headers, trusted):
        raise Refused(403, "wrong_origin", why)


def session_secrets(headers: Mapping[str, str]) -> list[str]:
    """Return the secrets of our cookies, the nearest path first: two centres of one host have one name."""
    return _COOKIES.findall(headers.get("Cookie", ""))[:_MOST_COOKIES]


def new_token() -> tuple[str, str]:
    """Return a new token for a program, and the key under which it is kept."""
    token = f"gb_{secrets.token_urlsafe(32)}"
    return token, _hash(token)


def _over(row: Mapping[str, Any]) -> bool:
    return row.get("expires") is not None and row["expires"] <= now()


def _hash(secret: str) -> str:
    return hashlib.sha256(_as_sent(secret)).hexdigest()


def _as_sent(text: str) -> bytes:
    """Return the bytes of a header, which need not be UTF-8."""
    return text.encode("utf-8", "surrogateescape")
