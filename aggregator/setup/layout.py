"""Where the services of a centre find their folders, and who they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_PLUGINS = (
    "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so",
    "/usr/lib/aarch64-linux-gnu/mosquitto_dynamic_security.so",
    "/usr/lib/mosquitto_dynamic_security.so",
    "/usr/local/lib/mosquitto_dynamic_security.so",
)


class InitError(Exception):
    """A centre that cannot be prepared; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the services will find their folders, and who they are."""

    mosquitto: str
    mosquitto_data: str
    centre: str
    demo: str
    demo_data: str
    plugin: str
    broker: str
    broker_port: int
    mongodb: str
    http: tuple[str, int]
    add_node: str = "gb-aggregator add-node gate-07"
    owners: tuple[tuple[str, int], ...] = ()  # folder of DIR -> user id; empty: all stays the caller's


CONTAINERS = Layout(
    mosquitto="/broker",  # not where the image has a config of its own: Docker would copy that in first
    mosquitto_data="/mosquitto/data",
    centre="/centre",
    demo="/etc/gb-agent",
    demo_data="/var/lib/gb-agent",
    plugin="/tmp/dynamic_security.so",  # a link in the container's own tmpfs
    broker="mosquitto",
    broker_port=8883,
    mongodb="mongodb:27017",
    http=("0.0.0.0", 8080),
    add_node="docker compose exec aggregator gb-aggregator add-node gate-07",
    owners=(
        ("mosquitto", 1883),
        ("mosquitto-data", 1883),
        ("mongodb", 999),
        ("mongodb-data", 999),
        ("centre", 10001),
        ("demo", 10002),
        ("demo-data", 10002),
    ),
)


def here(
    folder: Path, broker_port: int = 8883, mongodb: str = "127.0.0.1:27017", http_port: int = 8080
) -> Layout:
    """Return the place of a centre that runs on this machine without containers."""
    plugin = next((path for path in _PLUGINS if Path(path).exists()), "")
    if not plugin:
        raise InitError("no dynamic-security plugin of mosquitto found: `sudo apt-get install mosquitto`")
    root = folder.absolute()
    return Layout(
        mosquitto=f"{root}/mosquitto",
        mosquitto_data=f"{root}/mosquitto-data",
        centre=f"{root}/centre",
        demo=f"{root}/demo",
        demo_data=f"{root}/demo-data",
        plugin=plugin,
        broker="localhost",
        broker_port=broker_port,
        mongodb=mongodb,
        http=("127.0.0.1", http_port),
    )
