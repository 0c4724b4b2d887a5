"""The command `gb-aggregator`. Exit codes: 2 = bad config or arguments, 1 = failed, 0 = stopped as asked."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import getpass
import itertools
import logging
import os
import re
import secrets
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import msgspec

from agent import wire
from agent.mqtt.client import BrokerError, RefusedError, connect
from aggregator import auth, erasing, site_time
from aggregator.backup.errors import BackupError
from aggregator.centre import open_centre
from aggregator.check.trial import CheckError
from aggregator.command_line import parser
from aggregator.config import Config, ConfigError, load
from aggregator.opening import open_store
from aggregator.reload import LIVE
from aggregator.serve import ServeError
from aggregator.service import run, until_asked
from aggregator.setup import enrol, settings
from aggregator.setup.enrol import EnrolError
from aggregator.setup.layout import InitError
from aggregator.store.errors import StoreError
from aggregator.tail import tail

_RESTART = "docker compose restart aggregator, or restart what runs it"
_EXPECTED = (StoreError, BrokerError, ServeError, EnrolError, InitError, BackupError, CheckError)


async def add_user(config: Config, name: str, role: str) -> None:
    """Add a user, or change one; the password comes from the terminal or from standard input."""
    password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if len(password) < 8:
        raise ConfigError("a password has at least 8 characters")
    async with open_centre(config) as centre:
        await auth.add_user(centre.store, name, password, role)


async def list_users(config: Config) -> None:
    """Print every user with the role."""
    async with open_centre(config) as centre:
        for row in await centre.store.people.users():
            print(f"{row['_id']} {row['role']}")


async def remove_user(config: Config, name: str) -> None:
    """Take a user out; who is logged in by that name is logged out. Raise ConfigError if there is none."""
    async with open_centre(config) as centre:
        if not await centre.store.people.remove_user(name):
            raise ConfigError(f"there is no user {name}; `gb-aggregator list-users` shows all")


def add_node(config: Config, name: str, again: bool) -> Coroutine[Any, Any, None]:
    """Print the line that joins a node, and beside it, for people, what the line needs."""
    print(enrol.renew_node(config, name) if again else enrol.add_node(config, name), flush=True)
    print(enrol.hint(config, name), file=sys.stderr)
    return _expect(config, name)


async def _expect(config: Config, name: str) -> None:
    """Keep, for the page, that a node may join."""
    try:
        async with open_centre(config) as centre:
            until = round((time.time() + config.enrol.code_minutes * 60) * 1000)
            await centre.store.registry.expect_node(name, until)
    except StoreError as error:
        print(f"The line is good, but the page will not show that {name} waits: {error}", file=sys.stderr)


def new_token(config: Config) -> str:
    """Replace the administrator's token; return what to tell of it. Raise ConfigError."""
    if not config.http.token_file:
        raise ConfigError("http.token stands in the config itself: write another, or name a token_file")
    settings.write_secret(config.path(config.http.token_file), secrets.token_hex(24))
    return config.token()


async def forget(config: Config, node: str) -> bool:
    """Take a node off the fleet page and its wanted document off the broker: a new box has none.

    Return False if it was not on the page. A broker without rights also forgets its state here; one with
    rights has done so before (`enrol.remove_node`) and refuses it to this user.
    """
    async with open_centre(config) as centre:
        losses = (await centre.store.archive.losses()).get(node, 0)
        known = await centre.store.registry.remove_node(node, losses)
    async with connect(config.broker_settings()) as client:
        await client.publish(wire.topic(node, "want"), b"", qos=1, retain=True)
        with contextlib.suppress(RefusedError):
            await client.publish(wire.topic(node, "state"), b"", qos=1, retain=True)
    return known


async def take_out(config: Config, node: str) -> None:
    """Remove a node from the broker and from the page; raise EnrolError if neither knows it."""
    unknown: enrol.NoSuchNodeError | None = None
    try:
        await asyncio.to_thread(enrol.remove_node, config, node)
    except enrol.NoSuchNodeError as error:
        unknown = error
    known = await forget(config, node)
    if unknown is not None and not known:
        raise unknown
    print(f"{node} is removed; what it sent stays stored")


async def erase(config: Config, node: str, since: str, until: str) -> None:
    """Erase what a node told, and print the receipt; raise ConfigError for times that are none."""
    if bool(since) != bool(until):
        raise ConfigError("give --from and --to, or neither for everything")
    try:
        span = [site_time.parse_moment(text, config.zone) for text in (since, until) if text]
    except site_time.MomentError as error:
        raise ConfigError(str(error)) from None
    if span and span[1] <= span[0]:
        raise ConfigError("--to is not after --from, so nothing lies between them")
    async with open_centre(config) as centre:
        receipt = await erasing.erase(centre.store, node, *(span or (None, None)))
        entry = {"user": "the command line", "action": "erase", "node": node}
        await centre.store.registry.write_audit({**entry, **erasing.entry_of(receipt)})
    print(msgspec.json.encode(receipt).decode())


def _work(arguments: argparse.Namespace) -> Coroutine[Any, Any, None] | None:
    """Do what was asked; a coroutine is run by the caller."""
    if arguments.verb == "init":
        from aggregator.setup.layout import CONTAINERS
        from aggregator.setup.provision import prepare

        print(prepare(arguments.dir, arguments.host, CONTAINERS if arguments.containers else None))
        return None
    if arguments.verb == "set":
        _set(arguments.config, arguments.key, arguments.value)
        return None
    if arguments.verb == "restore":
        return _restore(arguments)
    config = load(arguments.config)
    match arguments.verb:
        case "backup":
            return _back_up(config, arguments)
        case "run":
            return run(config)
        case "token":
            token = new_token(config) if arguments.new else config.token()
            print(token or "this centre has no token: set http.token_file", flush=True)
            if arguments.new:
                print(f"The old one is good until the aggregator starts again: {_RESTART}", file=sys.stderr)
        case "check":
            return _try(config)
        case "shard":
            return _shard(config, arguments.zone)
        case "simulate":
            return _simulate(config, arguments)
        case "tail":
            return tail(config, wire.valid_node(arguments.node) if arguments.node else "")
        case "add-user":
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", arguments.name):
                raise ConfigError("a user's name has 1 to 64 letters, digits and ._@-")
            return add_user(config, arguments.name, arguments.role)
        case "list-users":
            return list_users(config)
        case "remove-user":
            return remove_user(config, arguments.name)
        case "add-node":
            return add_node(config, arguments.name, arguments.again)
        case "erase":
            return erase(config, wire.valid_node(arguments.name), arguments.since, arguments.until)
        case "remove-node":
            return take_out(config, arguments.name)
    return None


def _passphrase(file: Path | None, asked: str) -> str:
    """Return the passphrase of a backup from a file, the terminal or standard input; raise ConfigError."""
    try:
        if file is not None:
            return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: {getattr(error, 'strerror', None) or 'is no text'}") from None
    return getpass.getpass(asked) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")


async def _back_up(config: Config, arguments: argparse.Namespace) -> None:
    from aggregator.backup import backup

    passphrase = _passphrase(arguments.passphrase_file, "Passphrase, without which nobody can read it: ")
    root = backup.root_of(arguments.config, arguments.dir)
    said = await backup.back_up(
        config, arguments.config, root, arguments.file, backup.checked_passphrase(passphrase)
    )
    print(f"The backup is made: {said}", file=sys.stderr)


async def _restore(arguments: argparse.Namespace) -> None:
    from aggregator.backup.restore import restore

    if arguments.file == Path("-") and arguments.passphrase_file is None:
        raise ConfigError(
            "standard input is the backup: name a file with the passphrase, --passphrase-file FILE"
        )
    passphrase = _passphrase(arguments.passphrase_file, "Passphrase of the backup: ")
    said = await restore(arguments.file, passphrase, arguments.config, arguments.dir)
    print(f"The centre is restored: {said}")
    print("Now start the broker and the aggregator (again): boxes come back by themselves", file=sys.stderr)


async def _try(config: Config) -> None:
    from aggregator.check import broker, database

    trials = [*await broker.trials(config), *await database.trials(config)]
    print("\n".join(map(str, trials)))
    if faults := sum(bool(trial.fault) for trial in trials):
        raise CheckError(f"{faults} of {len(trials)} are not as the centre needs them")


async def _shard(config: Config, texts: list[str]) -> None:
    zones = dict(text.split("=", 1) for text in texts if "=" in text.strip("="))
    if len(zones) != len(texts):
        raise ConfigError("--zone: write the beginning of nodes' names and a shard, as north-=shard0001")
    for one, other in itertools.pairwise(sorted(zones)):
        if other.startswith(one):
            raise ConfigError(f"--zone: names with {other} begin with {one} too; a node has one zone")
    async with open_store(config) as store:
        print("\n".join(await store.sharding.spread(zones)))


async def _simulate(config: Config, arguments: argparse.Namespace) -> None:
    from aggregator.simulate.fleet import Plan, simulate

    nodes = arguments.nodes
    connections = arguments.connections or min(nodes, 200)
    if not 1 <= connections <= nodes or arguments.interval <= 0 or arguments.crossings < 0:
        raise ConfigError(
            "--nodes, --connections and --interval are above 0, and no more connections than nodes"
        )
    plan = Plan(
        nodes, connections, arguments.interval, arguments.crossings, arguments.seconds, arguments.prefix
    )
    with until_asked():
        print((await simulate(config, plan)).text(nodes))


def _set(path: Path, key: str, value: str | None) -> None:
    """Show settings, or change one and say how it comes into force."""
    if value is None:
        print("\n".join(settings.lines(path, key)))
        return
    print(settings.change(path, key, value), flush=True)
    later = f"it comes into force when the aggregator starts again: {_RESTART}"
    print("a running aggregator applies it within seconds" if key in LIVE else later, file=sys.stderr)


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    arguments = parser().parse_args(argv)
    try:
        work = _work(arguments)
        if work is not None:
            asyncio.run(work)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read what is printed has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ConfigError, wire.WireError) as error:
        return _fail(error, 2)
    except _EXPECTED as error:
        return _fail(error, 1)
    except KeyboardInterrupt:
        return 0
    return 0


def _fail(error: Exception, code: int) -> int:
    print(f"gb-aggregator: {error}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
