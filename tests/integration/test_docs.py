"""The documentation is run: every block of shell of README.md and docs/, and each name of ours in it."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pymongo
import pytest

from agent import __main__ as agent_command
from agent.deliver.spool import Spool
from aggregator import __main__ as centre_command
from aggregator.api import OUTSIDE, PREFIX, ROUTES
from aggregator.config import load
from aggregator.metrics import Metrics
from aggregator.setup import enrol
from deploy.stack import Stack
from tests.commands import prepare as prepare_programs
from tests.integration.test_enrol import Centre

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
TEXT = "\n".join(page.read_text() for page in PAGES)
BLOCKS = {
    (page.name, number): block
    for page in PAGES
    for number, block in enumerate(re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.M | re.S))
}
COMMANDS = {"gb-agent": agent_command.parser(), "gb-aggregator": centre_command.parser()}


class Machine:
    """A folder that stands for a machine: a centre's volumes, a box's config and spool, and programs."""

    def __init__(self, folder: Path, stack: Stack) -> None:
        self.folder = folder
        self.programs = prepare_programs(folder)
        (folder / "secrets").mkdir()
        self.centre = Centre(folder / "secrets")
        for name in ("mongodb-data", "demo-data"):
            (folder / "secrets" / name).mkdir()
        config = folder / "secrets" / "centre" / "aggregator.toml"
        text = config.read_text()
        begin = text.index("[mongodb]")
        end = text.index("[http]")
        database = f'[mongodb]\nuri = "{stack.mongodb_uri}"\ndatabase = "documentation"\n\n'
        config.write_text(text[:begin] + database + text[end:])
        self.config = load(config)
        (folder / "try.toml").write_text(f'[broker]\nurl = "{stack.mqtt_url}"\n')
        (folder / "agent.toml").write_text(
            f'node = "gate-07"\nstate_dir = "{folder / "state"}"\n[broker]\nurl = "{stack.mqtt_url}"\n'
            '[camera.cam0]\nsource = "scene:"\n'
        )
        (folder / "state").mkdir()
        Spool.open(folder / "state" / "spool.db", 4 << 20).close()

    def lose_the_database(self) -> None:
        """Make what a restore needs: a backup, and an empty database."""
        (block,) = (block for block in BLOCKS.values() if " backup /out/centre.backup" in block)
        assert self.run(block).returncode == 0
        with pymongo.MongoClient(self.config.mongodb_uri()) as client:
            client.drop_database(self.config.mongodb.database)

    def run(self, block: str) -> subprocess.CompletedProcess[str]:
        """Run a block of shell as a person would, with nothing but the documentation's programs."""
        env = {"PATH": str(self.programs), "SANDBOX": str(self.folder), "HOME": str(self.folder)}
        typed = "a long password\n"
        return subprocess.run(
            ["/bin/bash", "-e", "-u", "-o", "pipefail", "-c", block],
            capture_output=True, text=True, input=typed, cwd=self.folder, env=env, timeout=300,
        )  # fmt: skip


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, stack: Stack) -> Iterator[Machine]:
    """A machine on which a centre's broker runs."""
    made = Machine(tmp_path_factory.mktemp("machine"), stack)
    made.centre.service.start()
    yield made
    made.centre.service.kill()


@pytest.mark.parametrize(("page", "number"), list(BLOCKS))
def test_every_block_of_shell_runs(machine: Machine, page: str, number: int) -> None:
    """Each command ends well: those of this project for real, others are looked at for what they name."""
    with contextlib.suppress(enrol.EnrolError):
        enrol.remove_node(machine.config, "gate-07")
    for clone in machine.folder.glob("gb-fleet*/*"):
        clone.unlink()
    if " restore " in BLOCKS[page, number]:
        machine.lose_the_database()
    done = machine.run(BLOCKS[page, number])
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "Traceback" not in done.stderr


def test_a_block_with_a_mistake_is_noticed(machine: Machine) -> None:
    """The programs that stand in refuse unknown options, services, profiles, units, targets and commands."""
    for block in (
        "docker compose up --detatch",
        "docker compose exec agregator gb-aggregator token",
        "docker compose --profile demonstration up -d",
        "docker compose exec aggregator gb-aggregator list-people",
        "sudo systemctl reload gb-agents",
        "sudo systemd/install.sh --sauce 0",
        "sudo gb-agent status --jason",
        "make demonstration",
        "frobnicate",
    ):
        assert machine.run(block).returncode != 0, block


def test_the_documented_backup_is_restored_as_documented(machine: Machine) -> None:
    """What the backup's block writes, the restore's brings back: authority, rights and secrets."""
    (restore,) = (block for block in BLOCKS.values() if " restore /out/centre.backup" in block)
    machine.lose_the_database()
    assert (machine.folder / "centre.backup").stat().st_mode & 0o077 == 0
    kept = [
        path for name in ("ca", "centre", "demo") for path in (machine.folder / "secrets" / name).iterdir()
    ]
    before = {path: path.read_bytes() for path in kept}
    (machine.folder / "secrets" / "centre" / "token").write_text("another centre's")
    (machine.folder / "secrets" / "ca" / "ca.key").unlink()
    done = machine.run(restore)
    assert done.returncode == 0, done.stderr
    assert {path: path.read_bytes() for path in kept} == before


# ── what there is, and what is told of ────────────────────────────────────────────────────────────


def verbs(command: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the sub-commands of a command."""
    (found,) = [action for action in command._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(found.choices)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_and_option_is_told(name: str) -> None:
    """Each verb and each long option of both programs stands in the documentation."""
    for verb, sub in verbs(COMMANDS[name]).items():
        assert re.search(rf"{name} {verb}\b", TEXT), f"{name} {verb}"
        for action in sub._actions:
            for option in action.option_strings:
                if option.startswith("--") and option not in ("--help", "--config"):
                    assert option in TEXT, f"{name} {verb} {option}"


def test_every_command_that_is_told_exists() -> None:
    """No page names a verb, a make target, a module or a file of the repository that is not there."""
    for name, command in COMMANDS.items():
        told = set(re.findall(rf"\b{name} ([a-z][a-z-]+)\b(?! is| ends)", TEXT))
        assert told <= set(verbs(command)), told - set(verbs(command))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"`make ([a-z-]+)", TEXT)) <= targets
    for module in re.findall(r"python -m ([a-z_.]+)", TEXT):
        assert importlib.util.find_spec(module), module
    for page in PAGES:
        for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_every_route_is_told_and_exists() -> None:
    """The API's table in docs/centre.md and the routes are the same."""
    page = (ROOT / "docs" / "centre.md").read_text()
    told = set(re.findall(r"`(?:(?:GET|POST|PUT|DELETE|PATCH) )?(/[a-z][a-z/{}_.]*)[^`]*`", page))
    routes = {route.path for route in (*ROUTES, *OUTSIDE)}
    assert routes <= told, routes - told
    folders = {one for one in told if one not in routes}
    assert all(
        one.startswith((PREFIX, "/api", "/srv", "/fleet", "/var", "/dev", "/etc")) for one in folders
    ), folders


def test_every_metric_is_told_and_exists() -> None:
    """The table of metrics in docs/operations.md is what /metrics gives."""
    given = set(re.findall(r"^# TYPE (\w+) ", Metrics().text().decode(), re.M))
    given = {name for name in given if not name.endswith("_created")}
    page = (ROOT / "docs" / "operations.md").read_text()
    assert set(re.findall(r"`(gb_[a-z_]+)`", page)) == given


def test_every_variable_of_compose_is_told_and_exists() -> None:
    """What docker-compose.yml takes from `.env` stands in the documentation."""
    taken = set(re.findall(r"\$\{(GB_\w+)", (ROOT / "docker-compose.yml").read_text()))
    assert taken == {"GB_HOST", "GB_PORT"}
    for name in taken:
        assert name in (ROOT / "docs" / "operations.md").read_text()
        assert os.environ.get(name) is None
