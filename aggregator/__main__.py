"""The command `gb-aggregator`. Exit codes: 2 = bad config or arguments, 1 = failed, 0 = stopped as asked."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import getpass
import logging
import os
import re
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from agent import wire
from agent.mqtt.client import BrokerError, RefusedError, connect
from aggregator import auth
from aggregator.centre import open_centre
from aggregator.config import Config, ConfigError, load
from aggregator.connections import BACKLOG, Connections, room
from aggregator.serve import ServeError, make_app
from aggregator.setup import enrol, settings
from aggregator.setup.enrol import EnrolError
from aggregator.setup.provision import InitError
from aggregator.store.errors import StoreError

_PATIENCE = 30.0
_RESTART = "docker compose restart aggregator, or restart what runs it"
_EXPECTED = (StoreError, BrokerError, ServeError, EnrolError, InitError)


@contextlib.contextmanager
def _until_asked() -> Iterator[None]:
    """End the block, gently and without an error, at the first SIGINT or SIGTERM."""
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    assert task is not None
    asked = asyncio.Event()

    def stop() -> None:
        if not asked.is_set():
            asked.set()
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        yield
    except asyncio.CancelledError:
        if not asked.is_set():
            raise


async def run(config: Config) -> None:
    """Run one aggregator until it is asked to stop."""
    with _until_asked():
        async with open_centre(config, _PATIENCE) as centre:
            runner = web.AppRunner(make_app(centre), access_log=None, shutdown_timeout=1.0)
            await runner.setup()
            assert runner.server is not None
            connections = Connections(runner.server, room(config.http.max_connections), config.http.proxies)
            try:
                async with _listening(connections, config) as address, centre.running():
                    await centre.link.tried()
                    print(f"ready http://{address}", flush=True)
                    await asyncio.Event().wait()
            finally:
                await runner.cleanup()


@contextlib.asynccontextmanager
async def _listening(connections: Connections, config: Config) -> AsyncIterator[str]:
    """Take connections while this is open; give the address. Raise ServeError."""
    host = config.http.host
    port = config.http.port
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(connections, host, port, backlog=BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ServeError(
                f"port {port} of {host} is in use: end what uses it, or change [http] port"
            ) from None
        raise ServeError(f"cannot listen on {host} port {port}: {error.strerror}") from None
    try:
        found: Any = server.sockets[0].getsockname()
        yield f"[{found[0]}]:{found[1]}" if ":" in found[0] else f"{found[0]}:{found[1]}"
    finally:
        server.close()


async def tail(config: Config, node: str) -> None:
    """Print events as they arrive, until asked to stop.

    A listener of its own: it takes nothing from the aggregators.
    """
    with _until_asked():
        async with connect(config.broker_settings()) as client:
            for kind in ("ev", "state"):
                await client.subscribe(wire.topic(node or "+", kind), qos=0)
            async for message in client.messages:
                for line in _readable(message.topic, message.payload):
                    print(line, flush=True)


def _readable(topic: str, payload: bytes) -> list[str]:
    try:
        node, kind = wire.parse_topic(topic)
        if kind == "state":
            state: wire.State = wire.decode_json(payload, wire.State)
            return [_line(state.at, node, "online" if state.online else "offline", "")]
        batch = wire.decode_batch(payload)
        lines = []
        for raw in wire.batch_events(batch):
            fields = wire.event_dict(wire.decode_event(raw, batch.base))
            at = fields.pop("at")
            name = fields.pop("type")
            camera = fields.pop("camera")
            rest = " ".join(f"{key}={value}" for key, value in fields.items() if key != "path")
            lines.append(_line(at, node, f"{camera} {name}".strip(), rest))
        return lines
    except wire.WireError as error:
        return [f"{topic}: {error}"]


def _line(at: int, node: str, what: str, rest: str) -> str:
    return f"{datetime.fromtimestamp(at / 1000):%H:%M:%S} {node} {what} {rest}".rstrip()


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
        for row in await centre.store.registry.users():
            print(f"{row['_id']} {row['role']}")


async def remove_user(config: Config, name: str) -> None:
    """Take a user out; who is logged in by that name is logged out. Raise ConfigError if there is none."""
    async with open_centre(config) as centre:
        if not await centre.store.registry.remove_user(name):
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


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    top = argparse.ArgumentParser(prog="gb-aggregator", description="The centre of a GB-Fleet.")
    verbs = top.add_subparsers(dest="verb", required=True)
    config = argparse.ArgumentParser(add_help=False)
    config.add_argument("--config", type=Path, default=Path("aggregator.toml"), metavar="FILE")
    verbs.add_parser("run", parents=[config], help="take events, keep them, serve the page")
    token = verbs.add_parser(
        "token", parents=[config], help="print the administrator's token, to log in with"
    )
    token.add_argument("--new", action="store_true", help="replace it by a new one")
    setting = verbs.add_parser("set", parents=[config], help="show the settings, or change one")
    setting.add_argument("key", nargs="?", default="", metavar="SECTION.KEY", help="empty: all of them")
    setting.add_argument("value", nargs="?", help="empty: show it; a list's parts are separated by commas")
    tailing = verbs.add_parser("tail", parents=[config], help="print events as they arrive")
    tailing.add_argument("--node", default="", help="only this node")
    for verb, text in (("add-node", "let a box join"), ("remove-node", "take a box's rights")):
        node = verbs.add_parser(verb, parents=[config], help=text)
        node.add_argument("name")
        if verb == "add-node":
            node.add_argument("--again", action="store_true", help="a new line for a node that waits to join")
    user = verbs.add_parser("add-user", parents=[config], help="let a person in, or change their password")
    user.add_argument("name")
    user.add_argument("--role", choices=auth.ROLES, default="viewer")
    verbs.add_parser("list-users", parents=[config], help="show who is let in, and their roles")
    verbs.add_parser("remove-user", parents=[config], help="let a person in no more").add_argument("name")
    init = verbs.add_parser("init", help="make certificates, secrets and the broker's rights")
    init.add_argument("--dir", type=Path, required=True)
    init.add_argument(
        "--host", action="append", default=[], help="how boxes reach this centre; kept; auto: forget it"
    )
    init.add_argument("--containers", action="store_true", help="for docker-compose.yml: its paths and users")
    return top


def _work(arguments: argparse.Namespace) -> Coroutine[Any, Any, None] | None:
    """Do what was asked; a coroutine is run by the caller."""
    if arguments.verb == "init":
        from aggregator.setup.provision import CONTAINERS, prepare

        print(prepare(arguments.dir, arguments.host, CONTAINERS if arguments.containers else None))
        return None
    if arguments.verb == "set":
        _set(arguments.config, arguments.key, arguments.value)
        return None
    config = load(arguments.config)
    match arguments.verb:
        case "run":
            return run(config)
        case "token":
            token = new_token(config) if arguments.new else config.token()
            print(token or "this centre has no token: set http.token_file", flush=True)
            if arguments.new:
                print(f"The old one is good until the aggregator starts again: {_RESTART}", file=sys.stderr)
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
        case "remove-node":
            return take_out(config, arguments.name)
    return None


def _set(path: Path, key: str, value: str | None) -> None:
    """Show settings, or change one and say how it comes into force."""
    if value is None:
        print("\n".join(settings.lines(path, key)))
        return
    print(settings.change(path, key, value), flush=True)
    print(f"It comes into force when the aggregator starts again: {_RESTART}", file=sys.stderr)


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
