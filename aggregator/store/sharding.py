"""How the database is spread over shards: the keys, the zones, and the orders that make both.

Everything of a node lies together, apart from other nodes: all hot questions are about nodes by name. So what
is large is sharded by the node's name `n` (`batches`, whose documents have no `n`, by the id, which begins
with it). A zone is a beginning of nodes' names: `--zone north-=shard0001` keeps what nodes `north-…` sent
on that shard. What is small stays on the primary shard.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bson.min_key import MinKey
from pymongo.errors import OperationFailure

from aggregator.store.codec import EVENTS, LOSSES, RESOURCES, TALLIES
from aggregator.store.errors import StoreError, translated

BY_NODE = {"n": 1, "_id": 1}
KEYS: dict[str, dict[str, int]] = {
    **dict.fromkeys((EVENTS, TALLIES, RESOURCES, LOSSES, "counts"), BY_NODE),
    "batches": {"_id": 1},
}
_NO_SUCH_COMMAND = 59
_ALREADY = 23

Order = dict[str, Any]


def shard_orders(database: str) -> Iterator[Order]:
    """Return the orders that shard what is large."""
    yield {"enableSharding": database}
    for name, key in KEYS.items():
        yield {"shardCollection": f"{database}.{name}", "key": key}


def zone_orders(database: str, prefix: str, shard: str) -> Iterator[Order]:
    """Return the orders that keep nodes whose names begin with `prefix` on one shard."""
    zone = f"nodes {prefix}"
    yield {"addShardToZone": shard, "zone": zone}
    after = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    for name, key in KEYS.items():
        field = next(iter(key))
        rest = {other: MinKey() for other in key if other != field}
        yield {
            "updateZoneKeyRange": f"{database}.{name}",
            "min": {field: prefix, **rest},
            "max": {field: after, **rest},
            "zone": zone,
        }


class Sharding:
    """The shards of one database. `where`: its address, for the words of an error."""

    def __init__(self, client: Any, database: Any, where: str) -> None:
        self._client = client
        self._database = database
        self._where = where

    async def spread(self, zones: dict[str, str]) -> list[str]:
        """Shard what is large and make the zones (prefix -> shard); return what was done; StoreError."""
        for name, key in KEYS.items():
            if len(key) > 1:
                with translated(self._where):
                    await self._database[name].create_index(list(key.items()))
        orders = list(shard_orders(self._database.name))
        for prefix, shard in zones.items():
            orders += zone_orders(self._database.name, prefix, shard)
        return [await self._give(order) for order in orders]

    async def _give(self, order: Order) -> str:
        what, on = next(iter(order.items()))
        with translated(self._where):
            try:
                await self._client.admin.command(order)
            except OperationFailure as error:
                if error.code == _NO_SUCH_COMMAND:
                    raise StoreError(
                        f"MongoDB at {self._where} has no shards: name a mongos in [mongodb] uri"
                    ) from None
                if error.code != _ALREADY:
                    raise
                return f"{what} {on}: was so already"
        return f"{what} {on}"
