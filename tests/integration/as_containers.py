"""Run docker-compose.yml's services with no engine: as root, `python -m tests.integration.as_containers`.

It makes namespaces of its own (mounts, network, processes) over a throwaway copy-on-write view of this
machine, so that folders, ports, users and capabilities are those of the containers. Nothing outlives it.
Prints one line of JSON: what the services said.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pymongo
import yaml

from deploy.stack import SMALL_MONGOD, find_mongod

ROOT = Path(__file__).parents[2]
INSIDE = """\
set -e
ip link set lo up
mount -t tmpfs tmpfs {view}
mkdir {view}/upper {view}/work {view}/tree
mount -t overlay overlay -o lowerdir=/,upperdir={view}/upper,workdir={view}/work {view}/tree
mount --rbind /dev {view}/tree/dev
mount -t proc proc {view}/tree/proc
mount -t tmpfs tmpfs {view}/tree/tmp
chmod 1777 {view}/tree/tmp
[ -d {view}/tree{root} ] || {{ mkdir -p {view}/tree{root} && mount --bind {root} {view}/tree{root}; }}
printf '127.0.0.1 localhost mosquitto mongodb\\n' >{view}/tree/etc/hosts
cd {root}
exec chroot {view}/tree env -C {root} {python} -m tests.integration.as_containers inside
"""
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": "/tmp"}


def outside(view: Path) -> int:
    """Enter the namespaces."""
    script = INSIDE.format(view=view, root=ROOT, python=sys.executable)
    command = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "bash", "-c", script]
    return subprocess.run(command).returncode


def limited(user: int, *capabilities: str) -> list[str]:
    """Return the words that run a command as a container's user with these capabilities only."""
    bounding = ",".join(["-all", *(f"+{name.lower()}" for name in capabilities)])
    who = [f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
    return ["setpriv", *who, f"--bounding-set={bounding}", "--inh-caps=-all", "--no-new-privs", "--"]


def mount_volumes() -> None:
    """Put each volume where its service sees it; `init` has them below /secrets."""
    where = dict(row.split(":")[:2] for row in SERVICES["init"]["volumes"])
    for name in ("mongodb", "mosquitto", "aggregator", "demo"):
        for row in SERVICES[name]["volumes"]:
            volume, target, *mode = row.split(":")
            Path(target).mkdir(parents=True, exist_ok=True)
            subprocess.run(["mount", "--bind", where[volume], target], check=True)
            if "ro" in mode:
                subprocess.run(["mount", "-o", "remount,ro,bind", target], check=True)


def start(user: int, command: list[str], cwd: str = "/") -> subprocess.Popen[bytes]:
    """Start a service as its user."""
    return subprocess.Popen([*limited(user), *command], cwd=cwd, env=ENVIRONMENT, stdout=sys.stderr)


def ask(user: int, command: list[str], cwd: str = "/") -> str:
    """Run a command as that user and return what it says; its failure ends all."""
    words = [*limited(user), *command]
    return subprocess.run(
        words, cwd=cwd, env=ENVIRONMENT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def healthy(service: str, user: int) -> bool:
    """Ask a service's own health check until it says yes."""
    test = SERVICES[service]["healthcheck"]["test"]
    words = ["sh", "-c", test[1]] if test[0] == "CMD-SHELL" else [sys.executable, *test[2:]]
    for _ in range(60):
        if subprocess.run([*limited(user), *words], stderr=subprocess.DEVNULL, check=False).returncode == 0:
            return True
        time.sleep(0.5)
    return False


def start_database() -> None:
    """Do what the database's image does at its first start, then start it as Compose does."""
    secrets = Path("/docker-entrypoint-initdb.d")
    files = {name: ask(999, ["cat", str(secrets / name)]) for name in ("root-password", "user.js")}
    command = [find_mongod(), "--dbpath", "/data/db", *SMALL_MONGOD]
    first = start(999, command)
    with pymongo.MongoClient("127.0.0.1") as client:
        client["admin"].command("createUser", "root", pwd=files["root-password"], roles=["root"])
        text = files["user.js"]
        client["gb_fleet"].command(json.loads(text[text.index("runCommand(") + 11 : text.rindex(")")]))
    first.terminate()
    first.wait()
    start(999, [*command, "--auth"])


def fleet(token: str) -> dict[str, Any]:
    """Return what the API says of the fleet."""
    request = urllib.request.Request("http://127.0.0.1:8080/api/v1/fleet")
    request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=5) as answer:
        return dict(json.load(answer))


def wait_for_demo(token: str) -> dict[str, Any]:
    """Wait until the demo's box is online, and return it."""
    for _ in range(60):
        for node in fleet(token)["nodes"]:
            if node["state"] == "online":
                return dict(node)
        time.sleep(0.5)
    return {}


def inside() -> int:
    """Run `init`, then every service as its user, and tell."""
    aggregator = [sys.executable, "-m", "aggregator"]
    init = SERVICES["init"]
    words = [word for word in init["command"] if word != "${GB_HOST:-}"]
    for _ in range(2):  # the second run finds everything there, owned by others
        command = [*limited(0, *init["cap_add"]), *aggregator, *words, "centre.example"]
        subprocess.run(command, cwd="/", env=ENVIRONMENT, check=True)
    mount_volumes()
    start_database()
    start(1883, [word.replace("$$", "$") for word in SERVICES["mosquitto"]["command"]])
    said: dict[str, Any] = {"mosquitto": healthy("mosquitto", 1883)}
    start(10001, [*aggregator, "run"], "/centre")
    said["aggregator"] = healthy("aggregator", 10001)
    said["token"] = ask(10001, [*aggregator, "token"], "/centre").strip()
    said["set"] = ask(10001, [*aggregator, "set", "site.timezone", "Europe/Berlin"], "/centre").strip()
    said["new"] = ask(10001, [*aggregator, "token", "--new"], "/centre").strip()
    said["line"] = ask(10001, [*aggregator, "add-node", "gate-07"], "/centre").strip()
    start(10002, [sys.executable, "-m", "agent", "run"])
    said["demo"] = wait_for_demo(said["token"])
    print(json.dumps(said))
    return 0


if __name__ == "__main__":
    sys.exit(inside() if sys.argv[1:] == ["inside"] else outside(Path(sys.argv[1])))
