"""The spool: events wait on disk until the aggregator has confirmed that they are stored.

The parts, each with its promise: `spool_queue` (append, take, acknowledge), `spool_place` (in the file, or in
memory), `spool_room` and `spool_ballast` (the limit, a full disk), `spool_held` (what waits for the disk),
`spool_batches` (the tables), `spool_check`, `spool_wal` and `spool_rescue` (damage), `spool_lock` (one agent
at a time), `spool_worker` (the thread). Used through this door.
"""

from __future__ import annotations

from agent.deliver.spool_db import SpoolError, read_status
from agent.deliver.spool_queue import Spool
from agent.deliver.spool_room import MEMORY_BYTES
from agent.deliver.spool_values import Now, Sealed, this_moment
from agent.deliver.spool_worker import SpoolWorker

__all__ = [
    "MEMORY_BYTES",
    "Now",
    "Sealed",
    "Spool",
    "SpoolError",
    "SpoolWorker",
    "read_status",
    "this_moment",
]
