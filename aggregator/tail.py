"""Print what nodes send, as it arrives, for `gb-aggregator tail`."""

from __future__ import annotations

from datetime import datetime

from agent import wire
from agent.mqtt.client import connect
from aggregator.config import Config
from aggregator.service import until_asked


async def tail(config: Config, node: str) -> None:
    """Print events as they arrive, until asked to stop.

    A listener of its own: it takes nothing from the aggregators.
    """
    with until_asked():
        async with connect(config.broker_settings()) as client:
            for kind in ("ev", "state"):
                await client.subscribe(wire.topic(node or "+", kind), qos=0)
            async for message in client.messages:
                for line in _readable(message.topic, message.payload):
                    print(line, flush=True)


def _readable(topic: str, payload: bytes) -> list[str]:
    try:
        node, kind = wire.parse_topic(topic)
        if kind == "state":
            state: wire.State = wire.decode_json(payload, wire.State)
            return [_line(state.at, node, "online" if state.online else "offline", "")]
        batch = wire.decode_batch(payload)
        lines = []
        for raw in wire.batch_events(batch):
            fields = wire.event_dict(wire.decode_event(raw, batch.base))
            at = fields.pop("at")
            name = fields.pop("type")
            camera = fields.pop("camera")
            rest = " ".join(f"{key}={value}" for key, value in fields.items() if key != "path")
            lines.append(_line(at, node, f"{camera} {name}".strip(), rest))
        return lines
    except wire.WireError as error:
        return [f"{topic}: {error}"]


def _line(at: int, node: str, what: str, rest: str) -> str:
    return f"{datetime.fromtimestamp(at / 1000):%H:%M:%S} {node} {what} {rest}".rstrip()
