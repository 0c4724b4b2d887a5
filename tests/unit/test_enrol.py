"""Changing a TOML file in its place."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from agent.config import SAMPLE
from agent.enrol_files import EnrolError, set_keys, with_centre


def test_the_sample_keeps_its_comments_and_takes_the_values() -> None:
    """Each key is changed where it stands; every other line stays as it was."""
    before = SAMPLE.read_text()
    after = set_keys(
        set_keys(before, "", {"node": "a-b"}), "broker", {"url": "mqtts://h:1", "ca_file": 'a"b\\c'}
    )
    tree = tomllib.loads(after)
    assert tree["node"] == "a-b"
    assert (tree["broker"]["url"], tree["broker"]["ca_file"]) == ("mqtts://h:1", 'a"b\\c')
    changed = [
        (old, new) for old, new in zip(before.splitlines(), after.splitlines(), strict=True) if old != new
    ]
    assert len(changed) == 3
    assert all(new.partition("#")[2] == old.partition("#")[2] for old, new in changed)


def test_what_is_missing_is_added_to_its_table() -> None:
    """A table or a key that is not there is added, in order, and nothing of another table is touched."""
    text = '[spool]\nlimit_mb = 8\nurl = "not mine"\n'
    tree = tomllib.loads(set_keys(set_keys(text, "", {"node": "n"}), "broker", {"url": "u", "username": ""}))
    assert tree == {
        "node": "n",
        "spool": {"limit_mb": 8, "url": "not mine"},
        "broker": {"url": "u", "username": ""},
    }
    again = set_keys("[broker]\n# a note\n[spool]\nlimit_mb = 8\n", "broker", {"b": "1", "a": "2"})
    assert again == '[broker]\n# a note\nb = "1"\na = "2"\n[spool]\nlimit_mb = 8\n'


@pytest.mark.parametrize("content", ['broker.url = "mqtt://h"\n', 'broker = {url = "mqtt://h"}\n'])
def test_a_table_is_found_however_it_is_written(content: str) -> None:
    """Dotted keys and a table in one line take the values too."""
    text = set_keys(content, "broker", {"url": "mqtts://h:1", "username": ""})
    assert tomllib.loads(text) == {"broker": {"url": "mqtts://h:1", "username": ""}}


@pytest.mark.parametrize("content", [b'node = "\xff"\n', b"node =", b"broker = 3\n"])
def test_a_config_that_is_not_right_is_named_and_kept(tmp_path: Path, content: bytes) -> None:
    """A box cannot join with a broken config; the reason names the owner's file, which stays as it is."""
    path = tmp_path / "agent.toml"
    path.write_bytes(content)
    with pytest.raises(EnrolError, match=r"has to be right before the box can join: \S*/agent\.toml: "):
        with_centre(path, "mqtts://h:8883", "gate-1")
    assert path.read_bytes() == content
    assert [each.name for each in tmp_path.iterdir()] == ["agent.toml"]
