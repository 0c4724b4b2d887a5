"""Who may come in, and what they may do there.

What always holds: no secret is stored. Passwords are kept as scrypt keys, sessions under the hash of their
cookie; every login makes a new session. Guessing is slowed down by user and address, a token's also where it
comes as a header; the right token is never kept waiting by others' failures. A write that a cookie
carries must come from our own page (`Origin`), so that another site cannot make a browser do it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from aggregator import origin
from aggregator.site_time import now
from aggregator.store.store import Store

ROLES = ("viewer", "operator", "admin")
COOKIE = "gb_session"
LONG_TOKEN = 16  # characters of a token that nobody can guess
_FAILURES = 10
_WINDOW_SECONDS = 60.0
_FAILURES_OF_ALL = 100  # users behind one address together: a proxy may stand in front of many
_KEYS = 10_000
_COOKIES = re.compile(rf"(?:^|;)\s*{COOKIE}=([^;\s]+)")
_MOST_COOKIES = 4
_WRONG_TOKEN = "That is not this centre's token"
_WRONG_PASSWORD = "No user has that name and password"
_READ_ONLY = ("GET", "HEAD", "OPTIONS")


class Refused(Exception):
    """A request that is not let in: HTTP status, code and a sentence."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Identity(NamedTuple):
    """Who asks, and what they may do."""

    user: str
    role: str

    def may(self, role: str) -> bool:
        """True if this one's role is at least `role`."""
        return ROLES.index(self.role) >= ROLES.index(role)


def hash_password(password: str, salt: bytes) -> bytes:
    """Return the scrypt key of a password (RFC 7914; 32 MB, about 0.1 s)."""
    return hashlib.scrypt(password.encode(), salt=salt, n=2**15, r=8, p=1, maxmem=2**26)


async def add_user(store: Store, name: str, password: str, role: str) -> None:
    """Add a user, or change their password and role."""
    salt = secrets.token_bytes(16)
    key = await asyncio.to_thread(hash_password, password, salt)
    await store.registry.save_user(name, {"role": role, "salt": salt, "key": key})


class Limiter:
    """Failed logins within a minute, by any key; the oldest keys are forgotten first."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, list[float]] = OrderedDict()

    def check(self, key: str, at: float, most: int = _FAILURES) -> None:
        """Raise Refused if there were too many failures under this key."""
        recent = [moment for moment in self._failures.get(key, []) if at - moment < _WINDOW_SECONDS]
        if len(recent) >= most:
            raise Refused(429, "too_many_attempts", "Too many failed logins; wait a minute")

    def fail(self, key: str, at: float) -> None:
        """Note a failure."""
        recent = [moment for moment in self._failures.pop(key, []) if at - moment < _WINDOW_SECONDS]
        self._failures[key] = [*recent[-_FAILURES_OF_ALL:], at]
        while len(self._failures) > _KEYS:
            self._failures.popitem(last=False)


class Auth:
    """The door of one aggregator."""

    def __init__(self, store: Store, token: str, session_hours: int, origins: Collection[str] = ()) -> None:
        self._store = store
        self._origins = frozenset(map(origin.normal, origins))
        self._token = token
        self._session = timedelta(hours=session_hours)
        self._limiter = Limiter()
        self._attempts = asyncio.Semaphore(2)  # each takes 32 MB, and many at once must not outrun the limit

    async def login(
        self, token: str, user: str, password: str, address: str, old: str = "", path: str = "/"
    ) -> tuple[Identity, str]:
        """Check a token or a password; return who it is and the new session's secret.

        Args:
            token, user, password: a token, or a name with its password.
            address: whose failures are counted together.
            old: the secret of the session that this one replaces, if there is one.
            path: below which the browser will send the cookie.

        Raises:
            Refused: it is wrong, or was tried too often.
        """
        if token:
            identity = self._checked_token(token, address, Refused(401, "wrong_login", _WRONG_TOKEN))
        else:
            identity = await self._checked_password(user, password, address)
        if old:
            await self._store.registry.end_session(_hash(old))
        secret = secrets.token_urlsafe(32)
        fields = {
            "user": identity.user,
            "role": identity.role,
            "expires": now() + self._session,
            "path": path,
        }
        await self._store.registry.add_session(_hash(secret), fields)
        return identity, secret

    async def logout(self, headers: Mapping[str, str]) -> str:
        """End the session of a request; return the path of its cookie."""
        ended = [await self._store.registry.end_session(_hash(secret)) for secret in session_secrets(headers)]
        return next((row.get("path", "/") for row in ended if row), "/")

    def check_origin(self, headers: Mapping[str, str], *, required: bool) -> None:
        """Raise Refused if a browser says that the request comes from another site's page."""
        check_origin(headers, required=required, trusted=self._origins)

    async def identify(
        self, method: str, headers: Mapping[str, str], cookies: Mapping[str, str], address: str = ""
    ) -> Identity:
        """Return who asks; raise Refused if nobody is logged in or the write comes from elsewhere."""
        bearer = headers.get("Authorization", "")
        if bearer:
            scheme, _, token = bearer.partition(" ")
            token = token.strip() if scheme.lower() == "bearer" else ""
            return self._checked_token(token, address, Refused(401, "wrong_token", "That token is not right"))
        session = await self._session_of(headers)
        if session is None:
            raise Refused(401, "login_needed", "Log in first")
        if method not in _READ_ONLY:
            self.check_origin(headers, required=True)
        return Identity(session["user"], session["role"])

    async def _session_of(self, headers: Mapping[str, str]) -> dict[str, Any] | None:
        for secret in session_secrets(headers):
            session = await self._store.registry.session(_hash(secret))
            if session is not None:
                return session
        return None

    def _checked_token(self, token: str, address: str, wrong: Refused) -> Identity:
        """Return who has this token; raise `wrong`, or that it was tried too often.

        The right one is let in however often others of its address failed: behind a proxy all have one
        address. It is too long to be guessed; one that is not (it serves this machine only) has to wait too.
        """
        at = time.monotonic()
        key = f"{address} token"
        right = self._token and hmac.compare_digest(_as_sent(token), self._token.encode())
        if not right or len(self._token) < LONG_TOKEN:
            self._limiter.check(key, at)
        if not right:
            self._limiter.fail(key, at)
            raise wrong
        return Identity("token", "admin")

    async def _checked_password(self, user: str, password: str, address: str) -> Identity:
        """Return who has this name and password; raise Refused."""
        async with self._attempts:
            at = time.monotonic()
            one = f"{address} user {user}"
            self._limiter.check(one, at)
            self._limiter.check(address, at, _FAILURES_OF_ALL)
            identity = await self._by_password(user, password)
            if identity is None:
                self._limiter.fail(one, at)
                self._limiter.fail(address, at)
                raise Refused(401, "wrong_login", _WRONG_PASSWORD)
        return identity

    async def _by_password(self, name: str, password: str) -> Identity | None:
        found = await self._store.registry.user(name) if name else None
        salt = found["salt"] if found else b"\0" * 16  # an unknown name takes as long as a known one
        key = await asyncio.to_thread(hash_password, password, salt)
        if found is None or not hmac.compare_digest(key, found["key"]):
            return None
        return Identity(name, found["role"])


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


def _hash(secret: str) -> str:
    return hashlib.sha256(_as_sent(secret)).hexdigest()


def _as_sent(text: str) -> bytes:
    """Return the bytes of a header, which need not be UTF-8."""
    return text.encode("utf-8", "surrogateescape")
