"""Live frames: one frame's boxes, and a picture if asked for, while somebody watches."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from agent.wire import tolerance
from agent.wire.packing import ROW_BYTES
from agent.wire.terms import DECODE_ERRORS, WireError

_encoder = msgspec.msgpack.Encoder()


class Live(Struct, array_like=True, frozen=True):
    """One frame's boxes while somebody watches: `rows` of 12 bytes each, `jpeg` only if asked for.

    A row's class is a place in the `labels` that the camera reports in the node's state.
    """

    at: int  # Unix ms
    camera: str
    rows: bytes
    jpeg: bytes = b""


_live_decoder = msgspec.msgpack.Decoder(Live)


def encode_live(live: Live) -> bytes:
    """Encode one live frame."""
    return _encoder.encode(live)


def decode_live(payload: bytes) -> Live:
    """Decode one live frame; raise WireError if it is malformed."""
    try:
        live: Live = tolerance.decode(_live_decoder, payload, Live, msgspec.msgpack)[0]
    except DECODE_ERRORS as error:
        raise WireError(f"bad live frame: {error}") from None
    if len(live.rows) % ROW_BYTES:
        raise WireError(f"bad live frame: {len(live.rows)} bytes are no whole rows of {ROW_BYTES}")
    return live
