"""What does not fit is told with its place, what is wanted, and how to write what was meant."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta, Struct, UnsetType

from agent import config, wire
from agent.wire.mismatch import explain
from aggregator import config as centre
from export.data import recipe_schema


class Mail(Struct, tag="mail", forbid_unknown_fields=True):
    """One of two kinds of a table."""

    to: str


class Post(Struct, tag="post", rename={"url": "address"}):
    """The other one."""

    url: str
    often: int | UnsetType | None = None


Two = Annotated[list[float], Meta(min_length=2, max_length=2)]
LIBRARY = re.compile(r"Expected|`|\bgot\b|object missing|Invalid|\bstr\b|\bint\b|\bfloat\b|Literal|NoneType")


@pytest.mark.parametrize(
    ("value", "shape", "told"),
    [
        ("1", int, 'x: a whole number is wanted, not "1"; write x = 1'),
        (1.5, int, "x: a whole number is wanted, not 1.5"),
        ("one", float, 'x: a number is wanted, not "one"'),
        (float("nan"), Annotated[float, Meta(gt=0)], "x: a number above 0 is wanted, not nan"),
        (float("inf"), Annotated[float, Meta(lt=5)], "x: a number below 5 is wanted, not inf"),
        (True, float, "x: a number is wanted, not true"),
        (0, bool, "x: true or false is wanted, not 0; write x = false"),
        (False, str, 'x: a text in quotes is wanted, not false; write x = "false"'),
        (
            "x" * 99,
            Annotated[str, Meta(max_length=9)],
            "x: a text in quotes of 0 to 9 letters is wanted, not one of 99",
        ),
        (None, str, "x: a text in quotes is wanted, not null"),
        ({}, list[str], "x: a list is wanted, not a table"),
        ([1], dict[str, int], "x: a table is wanted, not a list"),
        ([[1.0]], list[Two], "x[0]: a list of 2 entries is wanted, not one of 1"),
        ([1, 2, 3], tuple[int, int], "x: a list of 2 is wanted, not one of 3"),
        ([1, "2"], tuple[int, int], 'x[1]: a whole number is wanted, not "2"; write 2'),
        ({"a": {"b": "c"}}, dict[str, dict[str, int]], 'x.a.b: a whole number is wanted, not "c"'),
        ({"a\nb": 1.5}, dict[str, int], 'x."a\\nb": a whole number is wanted, not 1.5'),
        ("", Annotated[str, Meta(min_length=1)], 'x: a text in quotes that is not empty is wanted, not ""'),
        ("b", Literal["a"], 'x: "a" is wanted, not "b"'),
        (3, Literal["low", "high"] | None, 'x: one of "low", "high" is wanted, not 3'),
        ({"to": "me"}, Mail | Post, 'x.type: one of "mail", "post" is wanted, not null'),
        (
            {"type": "mial"},
            Mail | Post,
            'x.type: one of "mail", "post" is wanted, not "mial". Did you mean \'mail\'?',
        ),
        ({"type": "mail", "too": "me"}, Mail | Post, "x.too: unknown key. Did you mean 'to'?"),
        ({"type": "mail", "zzz": 1}, Mail | Post, "x.zzz: unknown key. Known here: to"),
        ({"type": "post"}, Mail | Post, "x.address: missing"),
        ({"type": "post", "address": 3}, Mail | Post, "x.address: a text in quotes is wanted, not 3"),
        (
            {"type": "post", "address": "", "often": "3"},
            Post,
            'x.often: a whole number is wanted, not "3"; write often',
        ),
        ({"points": [[0, 0], [0, 0]]}, wire.Line, "x: two neighbouring points of a line are the same"),
    ],
)
def test_each_kind_is_told_in_plain_words(value: Any, shape: Any, told: str) -> None:
    """Numbers, texts, lists, tables, choices, unions, and checks of our own."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(value, shape)
    assert explain(value, shape, "x", toml=True).startswith(told)


@pytest.mark.parametrize(
    "shape", [config.Config, config.CameraConfig, centre.Config, recipe_schema.Recipe, wire.Document]
)
@pytest.mark.parametrize("wrong", [True, -7, 0.5, "", "no such word", [], ["a"], {}, {"a": 1}, None])
def test_no_key_of_ours_is_told_in_the_words_of_the_library(shape: type[Struct], wrong: Any) -> None:
    """Each key of every file that people write, given each kind of value that it does not take."""
    for field in msgspec.structs.fields(shape):
        tree = {field.encode_name: wrong}
        try:
            msgspec.convert(wrong, field.type)
        except msgspec.ValidationError:
            told = explain(wrong, field.type, field.encode_name, toml=True)
            assert told.startswith(field.encode_name)
            assert not LIBRARY.search(told), (tree, told)


def test_json_is_told_as_json() -> None:
    """Who sends a body to the centre writes keys in quotes and objects."""
    body = {"cameras": {"cam0": {"confidence": "0.5"}}}
    told = (
        'cameras.cam0.confidence: a number above 0 and below 1 is wanted, not "0.5"; write "confidence": 0.5'
    )
    assert explain(body, wire.Document) == told
    assert (
        explain({"colour": {}}, wire.Line)
        == "colour: unknown key. Known here: points, anchor, labels, version"
    )
    assert explain({"cameras": 3}, wire.Document) == "cameras: an object is wanted, not 3"
    with pytest.raises(wire.WireError, match=re.escape(told)):
        wire.decode_document(msgspec.json.encode(body))
