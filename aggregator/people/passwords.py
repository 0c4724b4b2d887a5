"""Passwords, kept as argon2id (RFC 9106). What an older version kept as scrypt (RFC 7914) still opens.

What always holds: a name that nobody has takes as long as one that somebody has. Each check takes 19 MB and
about 0.05 s; the caller bounds how many run at once.
"""

from __future__ import annotations

import hashlib
import hmac
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argon2 import PasswordHasher

LEAST = 8  # characters
MOST = 512


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher  # loaded with the first password: most starts need none

    return PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


def scrypt_key(password: str, salt: bytes) -> bytes:
    """Return the scrypt key of a password, as version 0.3 kept it."""
    return hashlib.scrypt(password.encode(), salt=salt, n=2**15, r=8, p=1, maxmem=2**26)


def hashed(password: str) -> str:
    """Return what is kept of a password: its argon2id hash with salt and costs."""
    text: str = _hasher().hash(password)
    return text


@cache
def _nobody() -> str:
    return hashed("nobody has this password")


def fits(password: str, kept: dict[str, Any] | None) -> bool:
    """Return whether a password is that of a user as the store keeps them; None: there is no such user."""
    from argon2.exceptions import InvalidHashError, VerificationError

    if kept is not None and "key" in kept:
        return hmac.compare_digest(scrypt_key(password, kept["salt"]), kept["key"])
    try:
        _hasher().verify(kept["hash"] if kept else _nobody(), password)
    except (VerificationError, InvalidHashError):
        return False
    return kept is not None


def is_outdated(kept: dict[str, Any]) -> bool:
    """Return whether a password that fitted should be hashed anew."""
    return "key" in kept or _hasher().check_needs_rehash(kept["hash"])
