"""Opens the database as a config says: where it is, how long it keeps what, below how much room it is low."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aggregator.config import Config, MongoSection
from aggregator.store.retention import Keep
from aggregator.store.room import Limits
from aggregator.store.store import Store, connect


@asynccontextmanager
async def open_store(config: Config, patience: float = 0.0) -> AsyncIterator[Store]:
    """Open the database; raise StoreError or ConfigError."""
    section = config.mongodb
    async with connect(
        config.mongodb_uri(),
        section.database,
        ca_file=str(config.path(section.ca_file)) if section.ca_file else "",
        detail_days=section.detail_days,
        tally_days=section.tally_days,
        batch_days=section.batch_days,
        history_days=section.history_days,
        pictures_days=section.pictures_days,
        patience=patience,
    ) as store:
        follow(store, section)
        yield store


def follow(store: Store, section: MongoSection) -> None:
    """Have a store keep things for as long as a config says."""
    store.retention.keep = Keep(
        section.detail_days, section.tally_days, section.batch_days, section.history_days,
        section.pictures_days,
    )  # fmt: skip
    store.room.limits = Limits(section.low_free_mb, section.full_free_mb)
