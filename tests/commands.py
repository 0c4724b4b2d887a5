"""What stands for the programs of the documentation: `python tests/commands.py NAME ARGUMENTS`.

Each either does what the program does, on the folder of the test ($SANDBOX), or looks at its arguments as the
program would and refuses what that does not know. What it cannot judge it refuses too.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parents[1]
COMPOSE = {  # the options that the documentation uses; a word for those that take a value
    "up": {"-d", "--build", "--force-recreate"},
    "down": set(),
    "stop": set(),
    "restart": set(),
    "logs": {"--tail N"},
    "exec": set(),
    "run": {"--rm", "-T", "-v X"},
}
TAKES_SERVICES = {"up", "restart", "logs", "stop"}


def wrong(text: str) -> NoReturn:
    """End with a reason."""
    sys.exit(f"{' '.join(sys.argv[1:])}: {text}")


def sandbox() -> Path:
    """Return the folder that stands for the machine."""
    return Path(os.environ["SANDBOX"])


def run(*words: str, cwd: Path | None = None) -> int:
    """Run a program of this project, or of the machine."""
    env = os.environ | {"PATH": "/usr/sbin:/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    return subprocess.run(words, cwd=cwd, env=env).returncode


def options(words: list[str], known: set[str]) -> tuple[dict[str, str], list[str]]:
    """Split words into known options before the first other word, and the rest."""
    found: dict[str, str] = {}
    while words and words[0].startswith("-"):
        name = words.pop(0)
        if name in known:
            found[name] = ""
        elif any(one.split()[0] == name for one in known):
            found[name] = words.pop(0)
        else:
            wrong(f"unknown option {name}")
    return found, words


def docker(words: list[str]) -> int:
    """Look at `docker compose`; what it would run in the aggregator's image is run for real."""
    if words.pop(0) != "compose":
        wrong("only `docker compose` is known here")
    text = (ROOT / "docker-compose.yml").read_text()
    services = re.findall(r"^  ([a-z]+):\n    <<:", text, re.M)
    chosen, words = options(words, {"--profile NAME"})
    if chosen and chosen["--profile"] not in re.findall(r"profiles: \[(\w+)\]", text):
        wrong("there is no such profile")
    verb = words.pop(0)
    _, rest = options(words, COMPOSE[verb])
    if verb in ("exec", "run"):
        service = rest.pop(0)
        return in_container(service, rest) if service in services else wrong(f"no service {service}")
    if rest and (verb not in TAKES_SERVICES or not set(rest) <= set(services)):
        wrong(f"what is {rest}?")
    return 0


def in_container(service: str, words: list[str]) -> int:
    """Run a command of a service on the sandbox, which holds the volumes."""
    if service == "backup":
        words = [word.replace("/out/", f"{Path.cwd()}/") for word in words]
        return run(sys.executable, "-m", "aggregator", *words, cwd=sandbox() / "secrets" / "centre")
    if service == "aggregator" and words.pop(0) == "gb-aggregator":
        return run(sys.executable, "-m", "aggregator", *words, cwd=sandbox() / "secrets" / "centre")
    wrong("this cannot be tried here")


def gb_aggregator(words: list[str]) -> int:
    """Run it with /srv/gb in the sandbox; `run` would not end, so its config is loaded only."""
    words = [word.replace("/srv/gb", str(sandbox() / "srv")) for word in words]
    if words[0] == "run":
        words[0] = "set"
    if words[0] == "simulate":  # at a centre of its own, whose broker asks for no password
        words[-1] = str(sandbox() / "try.toml")
    return run(sys.executable, "-m", "aggregator", *words)


def gb_agent(words: list[str]) -> int:
    """Run it on the sandbox's box; `bench` would take minutes, so its words are read only."""
    if words[0] == "bench":
        return run(sys.executable, "-m", "agent", *words, "--help")
    return run(sys.executable, "-m", "agent", *words, "--config", str(sandbox() / "agent.toml"))


def install(words: list[str]) -> int:
    """Look at the installer's options as its help tells them."""
    command = ["/bin/sh", str(ROOT / "systemd" / "install.sh"), "--help"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin"})
    for word in words:
        if word.startswith("--") and word not in said.stdout:
            wrong(f"unknown option {word}")
    return 0


def systemd(words: list[str]) -> int:
    """Look at `systemctl` and `journalctl`: our unit only, and `reload` only if it can."""
    unit = (ROOT / "systemd" / "gb-agent.service").read_text()
    if not any(word.removesuffix(".service") == "gb-agent" for word in words):
        wrong("not our unit")
    return 0 if "reload" not in words or "\nExecReload=" in unit else wrong("it cannot be reloaded")


def git(words: list[str]) -> int:
    """A clone is a folder with what the commands that follow need."""
    if words[:2] == ["clone", "REPOSITORY"] and len(words) == 3:
        clone = Path(words[2])
        clone.mkdir(exist_ok=True)
        for name in ("systemd", "docker-compose.yml", "Makefile"):
            (clone / name).symlink_to(sandbox() / name)
        return 0
    return 0 if words == ["pull"] else wrong("unknown")


def make(words: list[str]) -> int:
    """Look whether make knows how."""
    return run("/usr/bin/make", "-n", "-s", "-C", str(ROOT), *words)


def broker(words: list[str]) -> int:
    """The file that mosquitto is started with is there."""
    file = Path(words[1].replace("/srv/gb", str(sandbox() / "srv")))
    return 0 if words[0] == "-c" and file.exists() else wrong("no such settings")


def sudo(words: list[str]) -> int:
    """Run a command of the documentation."""
    return subprocess.run(words).returncode


PROGRAMS = {
    "docker": docker,
    "gb-aggregator": gb_aggregator,
    "gb-agent": gb_agent,
    "install.sh": install,
    "systemctl": systemd,
    "journalctl": systemd,
    "git": git,
    "make": make,
    "mosquitto": broker,
    "mongod": lambda words: 0 if words[:1] == ["--auth"] else 1,
    "sudo": sudo,
}


def prepare(folder: Path) -> Path:
    """Make the folder of programs that stands for the PATH; return it."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    (folder / "systemd").mkdir()
    for name in PROGRAMS:
        file = (folder / "systemd" if name == "install.sh" else programs) / name
        file.write_text(f'#!/bin/sh\nexec {sys.executable} {__file__} {name} "$@"\n')
        file.chmod(0o755)
    for name in ("docker-compose.yml", "Makefile"):
        (folder / name).symlink_to(ROOT / name)
    return programs


if __name__ == "__main__":
    sys.exit(PROGRAMS[sys.argv[1]](sys.argv[2:]))
