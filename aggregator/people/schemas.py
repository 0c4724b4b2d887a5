"""What the API takes and gives about people and tokens. Times are Unix milliseconds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from aggregator.people import passwords

Role = Literal["viewer", "operator", "admin"]
Password = Annotated[str, Meta(min_length=passwords.LEAST, max_length=passwords.MOST)]
Names = Annotated[list[Annotated[str, Meta(min_length=1, max_length=64)]], Meta(max_length=1000)]
Days = Annotated[int, Meta(ge=0, le=3650)]


class User(Struct):
    """A user. `sites`, `groups`: to whose nodes the role is limited; both empty: all nodes."""

    user: str
    role: str
    sites: list[str]
    groups: list[str]
    created: int | None
    last_login: int | None


class Users(Struct):
    """All users by name."""

    users: list[User]


class NewUser(Struct, forbid_unknown_fields=True):
    """A user to be added."""

    user: Annotated[str, Meta(max_length=64)]
    password: Password
    role: Role = "viewer"
    sites: Names = []
    groups: Names = []


class UserChange(Struct, forbid_unknown_fields=True):
    """What changes of a user; what is left out stays."""

    password: Password | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    sites: Names | UnsetType = UNSET
    groups: Names | UnsetType = UNSET


class PasswordChange(Struct, forbid_unknown_fields=True):
    """One's own password, and the new one."""

    old: Annotated[str, Meta(max_length=passwords.MOST)]
    new: Password


class Session(Struct):
    """Somebody who is logged in. `current`: it is this request's own."""

    id: str
    user: str
    role: str
    created: int | None
    seen: int | None
    expires: int | None
    address: str
    agent: str
    current: bool


class Sessions(Struct):
    """Sessions, the newest first."""

    sessions: list[Session]


class Token(Struct):
    """A program's token. `token`: the secret itself, only in the answer that made it."""

    id: str
    name: str
    role: str
    sites: list[str]
    groups: list[str]
    created: int | None
    expires: int | None
    last_used: int | None
    by: str
    token: str = ""


class Tokens(Struct):
    """All tokens, the newest first."""

    tokens: list[Token]


class NewToken(Struct, forbid_unknown_fields=True):
    """A token to be made. `days`: how long it is good; 0: until it is taken away."""

    name: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f]+$")]
    role: Role = "viewer"
    sites: Names = []
    groups: Names = []
    days: Days = 90


class AuditEntry(Struct):
    """What somebody did. `what`: to which user, site, camera and so on; `more`: what else was noted."""

    id: str
    at: int
    user: str
    role: str
    action: str
    node: str
    what: str
    address: str
    more: dict[str, Any]


class AuditLog(Struct):
    """Entries of the audit log, newest first."""

    entries: list[AuditEntry]
