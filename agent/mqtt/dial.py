"""A fresh client of paho's, and the connecting that blocks."""

from __future__ import annotations

import asyncio

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.mqtt.settings import BrokerError, BrokerSettings, unreachable

MAX_PACKET = 1024 * 1024  # what we let a broker send us in one packet


def make_client(broker: BrokerSettings) -> paho.Client:
    """Return a client that neither reconnects nor acknowledges by itself."""
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=broker.client_id,
        protocol=paho.MQTTv5,
        reconnect_on_failure=False,
        manual_ack=True,
    )
    client.max_inflight_messages_set(0)  # counted by `Client`: paho cannot learn the broker's limit in time
    return client


async def dial(client: paho.Client, broker: BrokerSettings, receive_maximum: int) -> None:
    """Find the name, open the socket, do TLS, send CONNECT, all on a thread; raise BrokerError.

    `receive_maximum`: messages with QoS 1 that the broker may send before one is acknowledged.
    """
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.ReceiveMaximum = receive_maximum
    properties.MaximumPacketSize = MAX_PACKET
    try:
        await asyncio.to_thread(
            client.connect,
            broker.host,
            broker.port,
            ping_seconds(broker),
            clean_start=True,
            properties=properties,
        )
    except (OSError, ValueError) as error:  # ssl.CertificateError is a ValueError too
        raise BrokerError(unreachable(broker, error)) from None


def ping_seconds(broker: BrokerSettings) -> int:
    """Return how often paho is to ping."""
    # paho gives up 2 x this after the last byte; 0.7 leaves room below 1.5 x keepalive.
    return max(1, int(broker.keepalive * 0.7))
