"""The name that a centre has given a box: when it counts, and when the file's own does."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import config as configuration
from agent import new_name


def write(folder: Path, node: str) -> Path:
    """Write a config with this name."""
    path = folder / "agent.toml"
    broker = '[broker]\nurl = "mqtts://centre:8883"\npassword_file = "/etc/gb-agent/secret"\nusername = "x"\n'
    path.write_text(f'node = "{node}"\nstate_dir = "{folder}"\n{broker}[camera.cam0]\nsource = "scene:"\n')
    return path


def test_the_given_name_and_its_secret_take_the_place_of_the_files(tmp_path: Path) -> None:
    """Also after a second rename; the user at the broker is the name then."""
    path = write(tmp_path, "gate-01")
    for now, new in (("gate-01", "gate-02"), ("gate-02", "gate-03")):
        secret = new_name.prepare(tmp_path)
        new_name.take(tmp_path, now, new, secret=True)
        config = configuration.load(path)
        assert config.node == new
        assert config.broker is not None
        assert (config.broker.username, config.broker.password_file) == ("", str(tmp_path / "secret"))
        assert (tmp_path / "secret").read_text() == secret
        assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["", "[]", '{"was": "gate-01"}', '{"was": "gate-01", "node": "../x"}'])
def test_a_damaged_note_leaves_the_files_name(tmp_path: Path, content: str) -> None:
    """What cannot be read is no name."""
    (tmp_path / new_name.NAME).write_text(content)
    assert configuration.load(write(tmp_path, "gate-01")).node == "gate-01"


def test_the_owner_has_the_last_word(tmp_path: Path) -> None:
    """Another name in the file counts; and so does the file's own once the box has joined anew."""
    new_name.take(tmp_path, "gate-01", "gate-02", secret=False)
    assert configuration.load(write(tmp_path, "gate-09")).node == "gate-09"
    path = write(tmp_path, "gate-01")
    assert configuration.load(path).node == "gate-02"
    new_name.forget(tmp_path)
    config = configuration.load(path)
    assert config.node == "gate-01"
    assert config.broker is not None
    assert config.broker.password_file == "/etc/gb-agent/secret"
