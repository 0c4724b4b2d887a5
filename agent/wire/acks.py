"""Acknowledgements: which batches are stored, and may be forgotten by their node."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from agent.wire import tolerance
from agent.wire.terms import DECODE_ERRORS, WireError

_encoder = msgspec.msgpack.Encoder()


class Ack(Struct, array_like=True, frozen=True):
    """Stored up to here: epoch -> ranges of batch numbers, both ends included."""

    stored: dict[int, list[tuple[int, int]]]


_ack_decoder = msgspec.msgpack.Decoder(Ack)


def encode_ack(stored: dict[int, Iterable[int]]) -> bytes:
    """Encode the batch numbers of each epoch as ranges."""
    return _encoder.encode(Ack({epoch: ranges(numbers) for epoch, numbers in stored.items()}))


def decode_ack(payload: bytes) -> Ack:
    """Decode an acknowledgement; raise WireError if it is malformed."""
    try:
        ack: Ack = tolerance.decode(_ack_decoder, payload, Ack, msgspec.msgpack)[0]
    except DECODE_ERRORS as error:
        raise WireError(f"bad ack: {error}") from None
    return ack


def ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Fold numbers into sorted closed ranges: 1, 2, 3, 7 -> (1, 3), (7, 7)."""
    found: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found
