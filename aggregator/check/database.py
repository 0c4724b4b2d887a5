"""What the centre needs of its database, tried on the real one."""

from __future__ import annotations

from aggregator.check.trial import Trial
from aggregator.config import Config
from aggregator.opening import open_store
from aggregator.store.errors import StoreError

_LEAST = (4, 4)


async def trials(config: Config) -> list[Trial]:
    """Try everything; return how it came out."""
    needed = "a MongoDB that lets the centre in, with collections and indexes"
    try:
        async with open_store(config) as store:
            engine = await store.engine()
            holds = await store.leases.take("check", 1.0)
            await store.leases.give_back("check")
    except StoreError as error:
        return [Trial(needed, str(error))]
    old = engine.version < _LEAST
    text = ".".join(map(str, engine.version))
    return [
        Trial(f"{needed} ({engine.kind})"),
        Trial(f"MongoDB {_LEAST[0]}.{_LEAST[1]} or newer", f"this is {text}: upgrade it" if old else ""),
        Trial("journaled writes and claims", "" if holds else "another check runs: try again"),
    ]
