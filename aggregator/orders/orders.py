"""Orders on their way: sent once, answered once, and told as expired where no answer came.

What always holds: an order does not wait for a node that is away, it is refused at once. An answer counts
only from the node that was asked. What the answer is, only who gave the order is told.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Awaitable, Callable

from agent import wire
from agent.mqtt.client import BrokerError
from aggregator.store.errors import StoreError
from aggregator.store.orders import OrderStore

_LOG = logging.getLogger(__name__)
_PREFIX = "order-"
# Who may give an order; every other one is an operator's, and the node says whether it knows it.
RUN_MODEL = "run-model"
ROLES_OF = {"logs": "admin", "restart": "admin", RUN_MODEL: "admin"}
_LASTING = {"calibrate", RUN_MODEL}  # answered after the seconds that they name
_LASTING_SECONDS = 60.0  # where they name none
_SLACK_SECONDS = 30.0  # for opening a model before, and timing it after

Tell = Callable[[str, wire.Command], Awaitable[None]]


class NotSent(Exception):
    """An order that cannot be sent now; the text says why."""


class Orders:
    """The orders of one aggregator. `tell` sends a command to a node."""

    def __init__(self, store: OrderStore, tell: Tell) -> None:
        self._store = store
        self._tell = tell

    async def give(self, node: str, user: str, command: wire.Command) -> str:
        """Send an order and return its id; raise NotSent.

        `command`: what is ordered, on whose behalf; its id is given here.
        """
        id_ = command.id
        await self._store.add(
            id_,
            {
                "node": node,
                "verb": command.verb,
                "camera": command.camera,
                "user": user,
                "role": command.role,
                "expires": command.expires,
                "seconds": command.seconds,
            },
        )
        try:
            await self._tell(node, command)
        except BrokerError as error:
            await self._store.answer(node, id_, {"state": "refused", "reason": f"it was not sent: {error}"})
            raise NotSent(str(error)) from None
        return id_

    async def on_response(self, node: str, response: wire.Response) -> None:
        """Keep a node's answer, if it is to an order of a person."""
        if not response.id.startswith(_PREFIX):
            return
        fields = {
            "state": "done" if response.ok else "refused",
            "reason": response.error[:1000],
            "text": response.text,
            "jpeg": response.jpeg,
            "has_picture": bool(response.jpeg),
        }
        try:
            await self._store.answer(node, response.id, fields)
        except StoreError as error:
            _LOG.warning("the answer of %s to an order is lost: %s", node, error)


def new_id() -> str:
    """Return an id that nobody can guess."""
    return f"{_PREFIX}{secrets.token_hex(12)}"


def lasting_ms(verb: str, seconds: float) -> int:
    """Return how long after its expiry the answer to an order may come, in milliseconds."""
    if verb not in _LASTING:
        return 0
    return round(((seconds or _LASTING_SECONDS) + _SLACK_SECONDS) * 1000)


def state_of(state: str, expires: int) -> str:
    """Return sent, done, refused or expired. `expires`: Unix ms, from which on no answer is waited for."""
    is_over = state == "sent" and time.time() * 1000 > expires
    return "expired" if is_over else state
