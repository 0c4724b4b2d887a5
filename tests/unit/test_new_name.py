"""The name that a centre has given a box: when it counts, and when the file's own does."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

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
        secret = new_name.prepare(tmp_path, new)
        new_name.take(tmp_path, now, new, secret=True)
        config = configuration.load(path)
        assert config.node == new
        assert config.broker is not None
        assert (config.broker.username, config.broker.password_file) == ("", str(tmp_path / f"secret-{new}"))
        assert (tmp_path / f"secret-{new}").read_text() == secret
        assert (tmp_path / f"secret-{new}").stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.glob("secret*")] == ["secret-gate-03"]


def test_a_cut_in_the_middle_of_a_rename_leaves_a_name_with_its_own_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever step is the last that was done: the box has a name, and the secret that belongs to it."""
    path = write(tmp_path, "gate-01")
    known = {"gate-02": new_name.prepare(tmp_path, "gate-02")}
    new_name.take(tmp_path, "gate-01", "gate-02", secret=True)
    real = {name: getattr(Path, name) for name in ("replace", "rename", "unlink")}
    for cut in range(12):
        left = cut

        def step(name: str) -> Any:
            def do(*arguments: Any, **options: Any) -> Any:
                nonlocal left
                left -= 1
                if left < 0:
                    raise KeyboardInterrupt
                return real[name](*arguments, **options)

            return do

        now = configuration.load(path).node
        then = f"gate-{cut + 10}"
        with monkeypatch.context() as patched, contextlib.suppress(KeyboardInterrupt):
            for name in real:
                patched.setattr(Path, name, step(name))
            known[then] = new_name.prepare(tmp_path, then)
            new_name.take(tmp_path, now, then, secret=True)
        config = configuration.load(path)
        assert config.broker is not None
        assert Path(config.broker.password_file).read_text() == known[config.node]
    assert config.node == then


def test_a_name_given_by_an_earlier_version_keeps_its_secret(tmp_path: Path) -> None:
    """Its file is called `secret` until the next rename."""
    (tmp_path / new_name.NAME).write_text('{"was": "gate-01", "node": "gate-02", "secret": true}')
    (tmp_path / "secret").write_text("old")
    path = write(tmp_path, "gate-01")
    config = configuration.load(path)
    assert config.broker is not None
    assert (config.node, config.broker.password_file) == ("gate-02", str(tmp_path / "secret"))
    new_name.prepare(tmp_path, "gate-03")
    new_name.take(tmp_path, "gate-02", "gate-03", secret=True)
    assert configuration.load(path).node == "gate-03"
    assert not (tmp_path / "secret").exists()


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
