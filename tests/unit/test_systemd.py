"""The unit and the install script, as far as they can be judged without a box."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "systemd" / "gb-agent.service"
INSTALL = ROOT / "systemd" / "install.sh"
EXPOSURE = 1.5

needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze")


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *words], capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}
    )


@needs_systemd
def test_the_unit_is_hardened() -> None:
    """systemd's own judgement of the sandbox is 1.5 or better (10 = none)."""
    done = analyze("security", "--offline=true", "--no-pager", str(UNIT))
    found = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found.group(1)) <= EXPOSURE


@needs_systemd
def test_the_unit_is_valid(tmp_path: Path) -> None:
    """systemd reads the unit without a word, once the program that it starts exists."""
    copy = tmp_path / UNIT.name
    copy.write_text(re.sub(r"^(Exec\w+)=\S+", r"\1=/bin/true", UNIT.read_text(), flags=re.M))
    done = analyze("verify", str(copy))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_unit_never_gives_up() -> None:
    """It restarts always, without a limit, and within the watchdog's time."""
    lines = UNIT.read_text().splitlines()
    for line in ("Type=notify", "WatchdogSec=10", "Restart=always", "StartLimitIntervalSec=0"):
        assert line in lines


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", str(INSTALL), *words], capture_output=True, text=True, cwd="/")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--frobnicate"], "unknown argument --frobnicate"),
        (["--join"], "--join needs a value"),
        (["--join", "mqtts://centre:8883", "--node", "gate-07"], "--join needs --code"),
        (["--code", "abc"], "need --join"),
        (["--from", "/no/such/place"], "no such file or folder"),
        (["--from", "/etc"], "no pyproject.toml"),
        (["--wheels", "/no/such/place"], "no such folder"),
    ],
)
def test_wrong_arguments_change_nothing_and_say_so_in_one_line(words: list[str], says: str) -> None:
    """Each mistake on the command line ends with code 2 and one sentence, before anything is touched."""
    done = run(*words)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_help_names_every_option() -> None:
    """Each option that the script reads is explained by --help."""
    done = run("--help")
    assert done.returncode == 0
    for option in re.findall(r"^        (--[a-z]+)\)", INSTALL.read_text(), re.M):
        assert option in done.stdout


def test_the_first_model_is_free_for_any_use() -> None:
    """Who plugs in a webcam gets the traffic model; weights for research use come by name only, and told."""
    assert "(default: traffic)" in run("--help").stdout
    text = INSTALL.read_text()
    assert re.findall(r"model=(\S*mask\S*)", text) == []
    assert "mask | mask-int8) say" in text


@pytest.mark.skipif(os.geteuid() == 0, reason="root may install")
def test_only_root_may_install() -> None:
    """Anybody else is told to use sudo."""
    done = run()
    assert done.returncode == 1
    assert "sudo" in done.stderr


def test_the_documentation_names_real_options_only() -> None:
    """Every option and command in docs/box.md and docs/centre.md is one that the programs have."""
    known = set(re.findall(r"--[a-z]+", run("--help").stdout))
    for row in (ROOT / "docs" / "box.md").read_text().splitlines():
        if "install.sh" in row or row.startswith("`--"):
            assert set(re.findall(r"--[a-z]+", row)) <= known | {"--help"}, row
    verbs = set(re.findall(r"gb-aggregator ([a-z-]+)", (ROOT / "docs" / "centre.md").read_text()))
    command = [sys.executable, "-m", "aggregator", "--help"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert verbs <= set(re.findall(r"[a-z-]+", said))
