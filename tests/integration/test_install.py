"""Installing on a system that boots: a fresh Debian in a container of systemd's own.

It takes two minutes and a network, so it runs where `GB_NSPAWN` names a folder for the Debian tree (made
there at the first run, kept for the next). It needs root, debootstrap and systemd-nspawn.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pymongo
import pytest
from pymongo.database import Database

from agent.see.packaged import MODELS
from aggregator.setup import enrol
from deploy.stack import die_with_parent
from tests.integration.test_enrol import Centre, make_database_users

ROOT = Path(__file__).parents[2]
TREE = os.environ.get("GB_NSPAWN", "")
PACKAGES = "systemd,systemd-sysv,dbus,ca-certificates,python3"
BOOT_SECONDS = 540

pytestmark = pytest.mark.skipif(not TREE, reason="GB_NSPAWN names no folder for a Debian tree")

# What happens on the box, in order. Each line that a test looks at begins with a word of its own.
SCRIPT = """\
#!/bin/sh
exec >/io/log 2>&1
cd /source
show() {{ systemctl show gb-agent --property "$1" --value; }}
wait_until_active() {{ for _ in $(seq 60); do [ "$(show ActiveState)" = active ] && return; sleep 1; done; }}
{line} --source 'scene:?seed=7' {wheels}
echo "installed $?"
echo "owners $(stat -c %U:%a /etc/gb-agent/secret /etc/gb-agent/agent.toml /var/lib/gb-agent | tr '\\n' ' ')"
sleep 15
figure() {{
    gb-agent status --json | python3 -c "import json, sys; print(json.load(sys.stdin)['epochs'][-1]['$1'])"
}}
ask() {{ touch "/io/$1"; for _ in $(seq 60); do [ -e "/io/$1-done" ] && return; sleep 0.5; done; }}
for _ in $(seq 60); do gb-agent status | grep -q '^connected' && break; sleep 0.5; done
echo "before $(gb-agent status | sed -n 1p)"
ask take-the-broker-away
sleep 12
echo "away $(gb-agent status | sed -n 1p)"
echo "check $(gb-agent check | grep broker)"
waiting=$(figure committed)
echo "waiting $waiting $(figure acked)"
ask bring-the-broker-back
for _ in $(seq 60); do [ "$(figure acked)" -ge "$waiting" ] && echo "drained yes" && break; sleep 1; done
echo "back $(gb-agent status | sed -n 1p)"
echo "lasting $(show NRestarts)"
echo "first $(show ActiveState) $(show NRestarts) $(show MainPID)"
main=$(show MainPID)
printf '\n[camera.cam1]\nsource = "scene:?seed=8"\nsauce = 1\n' >>/etc/gb-agent/agent.toml
systemctl reload gb-agent 2>/dev/null
echo "refused $? $(show ActiveState)"
sed -i '/^sauce/d' /etc/gb-agent/agent.toml
systemctl reload gb-agent
echo "reloaded $?"
sleep 20
journalctl --no-pager -o cat -u gb-agent | grep -c 'watching cam0, cam1' | sed 's/^/both /'
[ "$(show MainPID)" = "$main" ] && echo "process $(show ActiveState) $(show NRestarts)"
kill -9 "$(show MainPID)"; sleep 4; wait_until_active
echo "killed $(show ActiveState) $(show NRestarts)"
kill -STOP "$(show MainPID)"; sleep 40; wait_until_active
echo "stopped $(show ActiveState) $(show NRestarts)"
sha256sum /etc/gb-agent/* >/before
{line} --source 0 {wheels}
echo "again $?"
sha256sum --quiet --check /before && echo "kept yes"
echo "releases $(ls -d /opt/gb-agent/2* | wc -l)"
sleep 10; systemctl stop gb-agent
echo "ended $(show Result)"
gb-agent status --json >/io/status
sh systemd/install.sh --uninstall
left=$(ls -d /opt/gb-agent /usr/local/bin/gb-agent /etc/systemd/system/gb-agent* 2>/dev/null)
echo "removed $(ls /etc/gb-agent /var/lib/gb-agent | wc -l) $left"
sh systemd/install.sh --uninstall --purge
echo "purged $(ls -d /etc/gb-agent /var/lib/gb-agent 2>/dev/null) $(id gb-agent 2>/dev/null)"
poweroff
"""
START = """\
[Service]
ExecStart=/bin/sh /io/script
"""


@pytest.fixture(scope="module")
def tree() -> Path:
    """A minimal Debian 12 without Python's venv."""
    folder = Path(TREE) / "bookworm"
    if not (folder / "etc").exists():
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(folder)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    units = folder / "etc" / "systemd" / "system"
    (units / "start.service").write_text(START)
    link = units / "multi-user.target.wants" / "start.service"
    link.unlink(missing_ok=True)
    link.symlink_to("../start.service")
    return folder


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean copy of what is in the repository, with the models of this working tree."""
    folder = tmp_path_factory.mktemp("source")
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in names.stdout.split("\0"):
        if name and (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    for model in MODELS.glob("*.onnx"):
        shutil.copy2(model, folder / "agent" / "models")
    return folder


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    """A whole centre: broker with TLS, database with a password, aggregator."""
    made = Centre(tmp_path_factory.mktemp("centre"), with_database=True)
    assert made.mongod is not None
    made.service.start()
    made.mongod.start()
    make_database_users(made.folder, made.mongod.port)
    command = [sys.executable, "-m", "aggregator", "run", "--config", f"{made.folder}/centre/aggregator.toml"]
    aggregator = subprocess.Popen(command, cwd=ROOT, preexec_fn=die_with_parent)
    yield made
    aggregator.terminate()
    aggregator.wait()
    for service in (made.service, made.mongod):
        service.kill(signal.SIGTERM)


@pytest.fixture(scope="module")
def log(tree: Path, source: Path, centre: Centre, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Boot the box, let it do all of SCRIPT, and return what it said: first word -> rest."""
    shared = tmp_path_factory.mktemp("shared")
    line = enrol.add_node(centre.config, "gate-07").removeprefix("sudo ")
    offline = os.environ.get("GB_WHEELS", "")
    (shared / "script").write_text(SCRIPT.format(line=line, wheels="--wheels /wheels" if offline else ""))
    command = [
        "systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", "--volatile=overlay",
        f"--directory={tree}", "--machine=gb-test", f"--bind={shared}:/io", f"--bind-ro={source}:/source",
        *([f"--bind-ro={offline}:/wheels"] if offline else []),
    ]  # fmt: skip
    with (
        (shared / "console").open("wb") as console,
        subprocess.Popen(command, stdout=console, stderr=console, stdin=subprocess.DEVNULL) as booted,
    ):
        attend(booted, shared, centre)
    text = (shared / "log").read_text()
    print(text)
    print((shared / "status").read_text() if (shared / "status").exists() else "no status")
    return {head: rest for head, _, rest in (row.partition(" ") for row in text.splitlines())}


def attend(booted: subprocess.Popen[bytes], shared: Path, centre: Centre) -> None:
    """Do what the box asks for, until it has switched itself off."""
    does = {
        "take-the-broker-away": lambda: centre.service.kill(signal.SIGTERM),
        "bring-the-broker-back": centre.service.start,
    }
    deadline = time.monotonic() + BOOT_SECONDS
    try:
        while booted.poll() is None:
            for name, do in list(does.items()):
                if (shared / name).exists():
                    del does[name]
                    do()
                    (shared / f"{name}-done").touch()
            assert time.monotonic() < deadline, (shared / "log").read_text()
            time.sleep(0.2)
    finally:
        booted.kill()


def test_one_line_installs_joins_and_starts(log: dict[str, str]) -> None:
    """On a bare Debian the printed line ends with a running agent; the secret is the agent's alone."""
    assert log["installed"] == "0"
    assert log["owners"].split() == ["gb-agent:600", "root:640", "gb-agent:700"]
    assert log["first"].split()[:2] == ["active", "0"]


def test_a_changed_config_is_taken_by_reload(log: dict[str, str]) -> None:
    """A file that could not run is refused and stops nothing; a good one is taken by the same process."""
    assert log["refused"] == "1 active"
    assert log["reloaded"] == "0"
    assert log["both"] == "1"
    assert log["process"] == "active 0"


def test_a_broker_that_went_away_and_came_back_is_found_again(log: dict[str, str]) -> None:
    """On the distribution's own Python the box says that it is not connected, and why; then it drains."""
    assert log["before"].startswith("connected to mqtts://gate-07@")
    assert log["away"].startswith("not connected to mqtts://gate-07@")
    assert "nothing listens" in log["away"]
    assert log["check"].startswith("FAIL  broker: the agent is running, not connected")
    committed, acked = map(int, log["waiting"].split())
    assert committed > acked
    assert log["drained"] == "yes"
    assert log["back"].startswith("connected to mqtts://gate-07@")
    assert log["lasting"] == "0"


def test_systemd_brings_it_back(log: dict[str, str]) -> None:
    """After kill -9, and after a hang that only the watchdog notices, it runs again."""
    assert log["killed"] == "active 1"
    assert log["stopped"] == "active 2"


def test_the_second_run_keeps_config_and_secrets(log: dict[str, str]) -> None:
    """The same line again upgrades: config and secrets stay, one version remains, a stop is clean."""
    assert (log["again"], log["kept"], log["releases"], log["ended"]) == ("0", "yes", "1", "success")


def test_it_is_removed_in_two_steps(log: dict[str, str]) -> None:
    """--uninstall keeps config and data; --purge leaves nothing, not even the user."""
    files, _, rest = log["removed"].partition(" ")
    assert int(files) >= 4
    assert rest == ""
    assert log["purged"].strip() == ""


def test_what_it_saw_is_in_the_database(log: dict[str, str], centre: Centre) -> None:
    """The box's events went through TLS and its own rights into the database with a password."""
    assert log["first"]
    with pymongo.MongoClient(centre.config.mongodb_uri()) as client:
        database: Database[dict[str, object]] = client["gb_fleet"]
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and not database["batches"].find_one({}):
            time.sleep(0.2)
        assert str(database["batches"].find_one({})["_id"]).startswith("gate-07:")  # type: ignore[index]
