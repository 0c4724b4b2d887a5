"""What is written beside and put in place is there whole or not at all."""

import errno
import fcntl
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agent.atomic_file import replacing, write


def test_a_file_is_replaced_whole_and_with_its_rights(tmp_path: Path) -> None:
    """The new content stands, with the rights asked for, and nothing lies beside it."""
    path = tmp_path / "secret"
    write(path, "old", 0o644)
    write(path, b"new", 0o600)
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["secret"]


def _fail_half_way(path: Path) -> None:
    with replacing(path) as fresh:
        assert fresh.suffix == ".onnx"
        fresh.write_text("half of it")
        raise ValueError("half")


def test_what_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    """An error while the new file is made changes nothing."""
    path = tmp_path / "model.onnx"
    path.write_text("old")
    with pytest.raises(ValueError, match="half"):
        _fail_half_way(path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["model.onnx"]


def test_what_a_crash_left_is_written_over(tmp_path: Path) -> None:
    """A file left beside by a run that was killed is no hindrance."""
    path = tmp_path / "notes.json"
    (tmp_path / "notes.new.json").write_text("left")
    write(path, "[]")
    assert path.read_text() == "[]"
    assert os.listdir(tmp_path) == ["notes.json"]


_WRITER = """
import sys
from pathlib import Path
from agent.atomic_file import write
for number in range(200):
    write(Path(sys.argv[1]), str([number] * 5000))
"""


def test_two_threads_and_another_process_write_one_file_in_turns(tmp_path: Path) -> None:
    """Who reads finds one whole content at each moment, and no writer fails for another one."""
    path = tmp_path / "notes.json"
    failed: list[OSError] = []

    def writing() -> None:
        try:
            for number in range(200):
                write(path, str([number] * 5000))
        except OSError as error:
            failed.append(error)

    write(path, "[0]")
    threads = [threading.Thread(target=writing) for _ in range(2)]
    other = subprocess.Popen([sys.executable, "-c", _WRITER, str(path)])
    for thread in threads:
        thread.start()
    while other.poll() is None or any(thread.is_alive() for thread in threads):
        assert len(set(json.loads(path.read_text()))) == 1
    for thread in threads:
        thread.join()
    assert (other.returncode, failed) == (0, [])
    assert os.listdir(tmp_path) == ["notes.json"]


def test_a_file_system_that_locks_no_folders_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS refuses to lock a folder (EBADF); the file is whole as ever."""

    def refused(handle: int, how: int) -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr(fcntl, "flock", refused)
    write(tmp_path / "notes.json", "[]")
    assert (tmp_path / "notes.json").read_text() == "[]"
