"""What an .onnx file says before a runtime has opened it, read from its bytes.

An .onnx file is one protocol buffer, `ModelProto` (github.com/onnx/onnx, onnx.proto). Its few fields that
explain why a runtime refuses it, or what it hides, are read here by their numbers; what is not needed is
skipped. What always holds: bytes that are no protocol buffer say nothing and raise nothing.

    ModelProto      1 ir_version   8 opset_import {1 domain, 2 version}   7 graph
    GraphProto      1 node         5 initializer
    NodeProto       1 input        2 output       4 op_type               5 attribute {1 name, 5 t}
    TensorProto     4 float_data   8 name         9 raw_data              14 data_location (1: another file)
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

Field = tuple[int, int | bytes]

_SCORE_THRESHOLD = 4  # of NonMaxSuppression's inputs


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a whole number of variable length and where it ends; raise IndexError or ValueError."""
    value = 0
    for shift in range(0, 70, 7):
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
    raise ValueError("no whole number")


def fields(data: bytes) -> Iterator[Field]:
    """Yield (number, value) of a message's fields; an end inside a field ends the list."""
    at = 0
    while at < len(data):
        try:
            key, at = _varint(data, at)
            kind = key & 7
            if kind == 0:
                value, at = _varint(data, at)
                yield key >> 3, value
                continue
            length, at = _varint(data, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
        except (IndexError, ValueError, KeyError):
            return
        yield key >> 3, data[at : at + length]
        at += length


def _messages(data: bytes, number: int) -> Iterator[bytes]:
    yield from (value for n, value in fields(data) if n == number and isinstance(value, bytes))


def _number(data: bytes, number: int) -> int:
    return next((value for n, value in fields(data) if n == number and isinstance(value, int)), 0)


def _text(data: bytes, number: int) -> str:
    return next(_messages(data, number), b"").decode("utf-8", "replace")


def versions(content: bytes) -> tuple[int, int]:
    """Return a file's IR version and the opset of ONNX's own operators; 0 where it says none."""
    opsets = [_number(each, 2) for each in _messages(content, 8) if _text(each, 1) in ("", "ai.onnx")]
    return _number(content, 1), max(opsets, default=0)


def has_other_file(content: bytes) -> bool:
    """Say whether weights of a file lie in another one beside it."""
    return any(_number(tensor, 14) == 1 for graph in _messages(content, 7) for tensor in _messages(graph, 5))


def smallest(ir: int, opset: int) -> bytes:
    """Return the smallest file of these versions: one Identity."""

    def message(number: int, *parts: bytes) -> bytes:
        body = b"".join(parts)
        return bytes([number << 3 | 2, len(body)]) + body

    shape = message(2, message(1, bytes([0x08, 1])))
    port = message(2, message(1, bytes([0x08, 1]), shape))
    node = message(1, message(1, b"x"), message(2, b"y"), message(4, b"Identity"))
    graph = message(
        7, node, message(2, b"g"), message(11, message(1, b"x"), port), message(12, message(1, b"y"), port)
    )
    return bytes([0x08, ir]) + graph + message(8, bytes([0x10, opset]))


def newest(ir: int, opset: int, opens: Callable[[bytes], bool]) -> tuple[int, int]:
    """Return the newest versions up to these that a runtime opens; 0 where it opens none."""
    usual_ir = 8
    usual_opset = 17
    best_ir = next((n for n in range(min(ir, 99), 0, -1) if opens(smallest(n, min(opset, usual_opset)))), 0)
    best_opset = next((n for n in range(min(opset, 99), 0, -1) if opens(smallest(min(ir, usual_ir), n))), 0)
    return best_ir, best_opset


def baked_confidence(content: bytes) -> float | None:
    """Return the least score that a suppression inside the graph lets through, where it is a constant."""
    for graph in _messages(content, 7):
        nodes = list(_messages(graph, 1))
        for node in nodes:
            inputs = [part.decode("utf-8", "replace") for part in _messages(node, 1)]
            if _text(node, 4) == "NonMaxSuppression" and len(inputs) > _SCORE_THRESHOLD:
                return _constant(graph, nodes, inputs[_SCORE_THRESHOLD])
    return None


def _constant(graph: bytes, nodes: list[bytes], name: str) -> float | None:
    """Return the number of this name: an initializer, or a Constant's answer."""
    tensors = [tensor for tensor in _messages(graph, 5) if _text(tensor, 8) == name]
    tensors += [
        tensor
        for node in nodes
        if _text(node, 4) == "Constant" and _text(node, 2) == name
        for attribute in _messages(node, 5)
        for tensor in _messages(attribute, 5)
    ]
    raw = next((raw for tensor in tensors for n in (9, 4) for raw in _messages(tensor, n)), b"")
    return float(struct.unpack("<f", raw[:4])[0]) if len(raw) >= 4 else None
