"""What the database may refuse, in one line each. Nothing of pymongo's own words goes further."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from pymongo.errors import (
    ConfigurationError,
    InvalidURI,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

# What a member of a replica set says of single writes while it stops to be the primary, or goes down: nothing
# is wrong with what was written. (MongoDB's error codes of the categories NotPrimaryError and ShutdownError.)
AWAY = frozenset((91, 189, 10058, 10107, 11600, 11602, 13435, 13436))


class StoreError(Exception):
    """The database cannot be used now; the text is one line: the reason and what to do."""


class StoreAwayError(StoreError):
    """No database answers there."""


class StoreFullError(StoreError):
    """The database's disk has no room for more."""


@contextlib.contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn pymongo's errors into one line."""
    try:
        yield
    except PyMongoError as error:
        kind = StoreAwayError if isinstance(error, ServerSelectionTimeoutError) else StoreError
        raise kind(_explain(error, where)) from None


def _explain(error: PyMongoError, where: str) -> str:
    match error:
        case OperationFailure(code=18):
            return f"MongoDB at {where} refused the login: correct [mongodb] username and password_file"
        case OperationFailure(code=13):
            return f"MongoDB at {where} gives this user no right to its database: grant readWrite"
        case InvalidURI() | ConfigurationError():
            return f"mongodb.uri: {str(error)[:200]}"
        case ServerSelectionTimeoutError():
            return f"no MongoDB answers at {where}: start it, or correct [mongodb] uri"
    return f"MongoDB at {where}: {type(error).__name__}: {str(error).splitlines()[0][:200]}"
