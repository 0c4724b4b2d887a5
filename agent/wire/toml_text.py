"""Reads TOML that people write, and says of a line that cannot be read how to write it.

What always holds: what stands behind a key is never repeated, since it may be a secret.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

_SWITCH = {"true": "true", "yes": "true", "on": "true", "false": "false", "no": "false", "off": "false"}
_CURLY = "\u201c\u201d\u201e\u2018\u2019\u201a\u00ab\u00bb"  # quotes of a word processor


def parse(text: str) -> dict[str, Any]:
    """Return the tables of a TOML file.

    Raises:
        tomllib.TOMLDecodeError: it cannot be read; in one line, with the place, and what to write there.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"at line (\d+)", str(error))  # else it is the last one
        lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
        read = lines[: int(place[1])] if place else lines
        advice = _of_whole(text) or (_of_open(read) if "Unclosed" in str(error) else _advice(read))
        raise tomllib.TOMLDecodeError(f"{error}. {advice}" if advice else str(error)) from None


def _of_whole(text: str) -> str:
    """Return what is wrong with a file as a whole, empty if it is a line of it."""
    if text.lstrip().startswith("{"):
        return 'This is JSON; write TOML, as key = "text"'
    if any(text.count(quotes) % 2 for quotes in ('"""', "'''")):
        return "A text in triple quotes has no end"
    return ""


def _of_open(lines: list[str]) -> str:
    """Return which list or table in one line is not closed: the last that these lines begin."""
    begun = (re.match(r"\s*([\w.-]+)\s*=\s*([\[{])", line) for line in reversed(lines))
    found = next((begin for begin in begun if begin), None)
    if found is None:
        return ""
    what, end = ("list", "]") if found[2] == "[" else ("table", "}")
    return f"The {what} of {found[1]} has no end: write a comma between its values, and {end} behind the last"


def _advice(lines: list[str]) -> str:
    """Return how to write the last of these lines, empty if it is not plain what was meant."""
    line = lines[-1].strip()
    if line.startswith("["):
        name = line.strip("[] \t")
        if any(before.strip() == line for before in lines[:-1]):
            return f"[{name}] is there twice: put both into one, or give one another name"
        return "" if line.endswith("]") else f"Write [{name.partition(']')[0]}] on a line of its own"
    if colon := re.match(r"([\w-]+)\s*:(?!.*=)", line):
        return f"Write {colon[1]} = and the value, not a colon"
    key, equals, value = (part.strip() for part in line.partition("="))
    if not equals or not re.fullmatch(r"[\w.-]+", key):
        return ""
    if key in _keys_above(lines):
        return f"{key} is there twice: take one out"
    return _of_value(key, value)


def _keys_above(lines: list[str]) -> set[str]:
    """Return the keys that stand above the last line in its own table."""
    start = max((number for number, line in enumerate(lines) if line.lstrip().startswith("[")), default=-1)
    return {line.partition("=")[0].strip() for line in lines[start + 1 : -1] if "=" in line}


def _of_value(key: str, value: str) -> str:
    """Return how to write a value that cannot be read."""
    if not value:
        return f"Write a value behind {key} ="
    if value[0] in _CURLY:
        return f'Write plain quotes: {key} = "..."'
    if value[0] in "\"'":
        if value[0] == '"' and "\\" in value:
            return f"In double quotes \\ begins a special letter; write single quotes: {key} = '...'"
        return f"The quote that ends {key} is missing" if value.count(value[0]) % 2 else ""
    word = _SWITCH.get(value.partition("#")[0].strip().lower())
    if word:
        return f"Write {key} = {word}"
    if re.match(r"-?\d+,\d", value):
        return f"Write the number of {key} with a point, as 0.5"
    return f'Write a text in quotes: {key} = "..."' if re.match(r"[\w./~-]", value) else ""
