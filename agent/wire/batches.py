"""Batches: the unit of delivery, in MessagePack or, for people, in JSON.

Invariants: a batch `(node, epoch, seq)` never changes. Its checksum covers its numbers, its times and every
byte of its events, so a resend is byte-identical and a cloned box is recognised.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from agent.wire.events import AnyEvent
from agent.wire.terms import DECODE_ERRORS, Count, WireError

BATCH_EVENTS = 100
BATCH_BYTES = 32 * 1024
URGENT_SECONDS = 1.0
RELAXED_SECONDS = 60.0
MAX_PAYLOAD = 256 * 1024


class Batch(Struct, array_like=True, frozen=True):
    """The unit of delivery. `base`: Unix ms; `mono`: ms since its machine started, at the same moment."""

    epoch: Count
    seq: Count
    base: int
    mono: int
    sum: bytes
    events: msgspec.Raw  # a MessagePack array of events


_encoder = msgspec.msgpack.Encoder()
_event_decoder: msgspec.msgpack.Decoder[AnyEvent] = msgspec.msgpack.Decoder(AnyEvent)
_batch_decoder = msgspec.msgpack.Decoder(Batch)
_raw_list_decoder = msgspec.msgpack.Decoder(list[msgspec.Raw])


def checksum(epoch: int, seq: int, base: int, mono: int, events: bytes | memoryview) -> bytes:
    """Return the 8 bytes that name a batch's content, numbers and times included (BLAKE2b)."""
    digest = hashlib.blake2b(f"{epoch}:{seq}:{base}:{mono}:".encode(), digest_size=8)
    digest.update(events)
    return digest.digest()


def array_header(length: int) -> bytes:
    """Return MessagePack's header of an array of `length` elements."""
    if length < 16:
        return bytes([0x90 | length])
    return b"\xdc" + length.to_bytes(2, "big")


def encode_batch(epoch: int, seq: int, base: int, mono: int, events: Sequence[bytes]) -> bytes:
    """Join already encoded events into one immutable payload."""
    body = array_header(len(events)) + b"".join(events)
    sum_ = checksum(epoch, seq, base, mono, body)
    return _encoder.encode(Batch(epoch, seq, base, mono, sum_, msgspec.Raw(body)))


def decode_batch(payload: bytes) -> Batch:
    """Decode a batch's envelope, either form; raise WireError if it is malformed or altered."""
    if len(payload) > MAX_PAYLOAD:
        raise WireError(f"a batch of {len(payload)} bytes; the limit is {MAX_PAYLOAD}")
    if payload[:1] == b"{":
        payload = _from_json(payload)
    try:
        batch = _batch_decoder.decode(payload)
    except DECODE_ERRORS as error:
        raise WireError(f"bad batch: {error}") from None
    if checksum(batch.epoch, batch.seq, batch.base, batch.mono, memoryview(batch.events)) != batch.sum:
        raise WireError("bad batch: the checksum does not match its content")
    return batch


def batch_events(batch: Batch) -> list[msgspec.Raw]:
    """Split a batch into its events, each still encoded."""
    try:
        return _raw_list_decoder.decode(batch.events)
    except DECODE_ERRORS as error:
        raise WireError(f"bad batch: {error}") from None


class _ReadableBatch(Struct):
    """The JSON form of a batch: the same arrays, with the envelope's fields by name."""

    epoch: Count
    seq: Count
    base: int
    mono: int
    sum: str
    events: list[Any]


def to_json(payload: bytes) -> bytes:
    """Return the same batch as JSON, for people who want to read the wire; binary fields as base64."""
    batch = decode_batch(payload)
    events = [_event_decoder.decode(raw) for raw in batch_events(batch)]
    rows = [msgspec.to_builtins(event) for event in events]
    head = (batch.epoch, batch.seq, batch.base, batch.mono, batch.sum.hex())
    return msgspec.json.encode(_ReadableBatch(*head, rows))


def _from_json(payload: bytes) -> bytes:
    try:
        readable = msgspec.json.decode(payload, type=_ReadableBatch)
        events = [_row_of(item) for item in readable.events]
    except DECODE_ERRORS as error:
        raise WireError(f"bad batch: {error}") from None
    body = array_header(len(events)) + b"".join(_encoder.encode(event) for event in events)
    sum_ = readable.sum
    return _encoder.encode(
        Batch(readable.epoch, readable.seq, readable.base, readable.mono, _hex(sum_), msgspec.Raw(body))
    )


def _row_of(item: list[Any]) -> list[Any]:
    """Return an event's JSON row as it was before: its bytes are bytes, and no field more or less."""
    event = msgspec.convert(item, AnyEvent, builtin_types=())
    row: list[Any] = msgspec.to_builtins(event, builtin_types=(bytes,))
    return row[: len(item)] + item[len(row) :]


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise WireError("bad batch: `sum` is no hexadecimal number") from None
