"""Users, sessions and tokens, as they are kept. No secret is: only hashes of them.

What always holds: who is changed or taken out is logged out in the same call; a token's sessions end with it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pymongo.errors import DuplicateKeyError

from aggregator.site_time import now
from aggregator.store.errors import translated

Document = dict[str, Any]
_SECRET = {"hash": 0, "salt": 0, "key": 0}


class People:
    """Who may come in. `where`: the database's address, for the words of an error."""

    def __init__(self, database: Any, where: str) -> None:
        self._database = database
        self._where = where

    # ── users ──

    async def user(self, name: str) -> Document | None:
        """Return a user with what is kept of the password."""
        with translated(self._where):
            found: Document | None = await self._database.users.find_one({"_id": name})
            return found

    async def users(self) -> list[Document]:
        """Return all users by name, without what is kept of their passwords."""
        with translated(self._where):
            return [row async for row in self._database.users.find({}, _SECRET).sort("_id", 1)]

    async def add_user(self, name: str, fields: Document) -> bool:
        """Add a user; return False if the name is taken."""
        with translated(self._where):
            try:
                await self._database.users.insert_one({"_id": name, "created": now(), **fields})
            except DuplicateKeyError:
                return False
        return True

    async def save_user(self, name: str, fields: Document) -> None:
        """Add a user or change one; their sessions end. A new hash replaces an older version's key."""
        away = {"$unset": {"salt": "", "key": ""}} if "hash" in fields else {}
        change = {"$set": fields, "$setOnInsert": {"created": now()}, **away}
        with translated(self._where):
            await self._database.users.update_one({"_id": name}, change, upsert=True)
            await self._database.sessions.delete_many({"user": name})

    async def note_login(self, name: str, hash_: str = "") -> None:
        """Note that a user has logged in; `hash_`: of the password from now on, if that changes."""
        change: Document = {"$set": {"last_login": now()}}
        if hash_:
            change = {"$set": {"last_login": now(), "hash": hash_}, "$unset": {"salt": "", "key": ""}}
        with translated(self._where):
            await self._database.users.update_one({"_id": name}, change)

    async def remove_user(self, name: str) -> bool:
        """Take a user out and end their sessions; return whether there was one."""
        with translated(self._where):
            done = await self._database.users.delete_one({"_id": name})
            await self._database.sessions.delete_many({"user": name})
            return bool(done.deleted_count)

    # ── sessions ──

    async def add_session(self, key: str, fields: Document) -> None:
        """Keep a session under the hash of its secret."""
        with translated(self._where):
            await self._database.sessions.insert_one({"_id": key, "created": now(), "seen": now(), **fields})

    async def session(self, key: str) -> Document | None:
        """Return a session that has not expired."""
        with translated(self._where):
            found: Document | None = await self._database.sessions.find_one(
                {"_id": key, "expires": {"$gt": now()}}
            )
            return found

    async def sessions(self, user: str = "") -> list[Document]:
        """Return the sessions that have not expired, the newest first; of one user, or of all."""
        query = {"expires": {"$gt": now()}, **({"user": user} if user else {})}
        with translated(self._where):
            return [row async for row in self._database.sessions.find(query).sort("created", -1)]

    async def see_session(self, key: str) -> None:
        """Note that a session was used just now."""
        with translated(self._where):
            await self._database.sessions.update_one({"_id": key}, {"$set": {"seen": now()}})

    async def end_session(self, key: str) -> Document | None:
        """Forget a session; return it as it was."""
        with translated(self._where):
            found: Document | None = await self._database.sessions.find_one_and_delete({"_id": key})
            return found

    async def end_session_named(self, id_: str, user: str = "") -> Document | None:
        """Forget the session of this public id, if it is this user's (empty: anybody's)."""
        query = {"id": id_, **({"user": user} if user else {})}
        with translated(self._where):
            found: Document | None = await self._database.sessions.find_one_and_delete(query)
            return found

    # ── tokens ──

    async def add_token(self, key: str, fields: Document) -> None:
        """Keep a token under the hash of it."""
        with translated(self._where):
            await self._database.tokens.insert_one({"_id": key, "created": now(), **fields})

    async def token(self, key: str) -> Document | None:
        """Return a token that has not expired."""
        with translated(self._where):
            found: Document | None = await self._database.tokens.find_one({"_id": key})
        return None if found is None or _is_over(found) else found

    async def tokens(self) -> list[Document]:
        """Return all tokens, the newest first, expired ones too."""
        with translated(self._where):
            return [row async for row in self._database.tokens.find().sort("created", -1)]

    async def use_token(self, key: str) -> None:
        """Note that a token was used just now."""
        with translated(self._where):
            await self._database.tokens.update_one({"_id": key}, {"$set": {"last_used": now()}})

    async def remove_token(self, id_: str) -> Document | None:
        """Take a token away and end the sessions that it opened; return it as it was."""
        with translated(self._where):
            found: Document | None = await self._database.tokens.find_one_and_delete({"id": id_})
            if found is not None:
                await self._database.sessions.delete_many({"token": id_})
            return found


def _is_over(token: Document) -> bool:
    expires: datetime | None = token.get("expires")
    return expires is not None and expires <= now()
