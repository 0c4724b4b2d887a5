"""The words of `gb-aggregator`: its verbs and their options."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TypeAlias

from aggregator import auth

Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    top = argparse.ArgumentParser(prog="gb-aggregator", description="The centre of a GB-Fleet.")
    verbs = top.add_subparsers(dest="verb", required=True)
    config = argparse.ArgumentParser(add_help=False)
    config.add_argument("--config", type=Path, default=Path("aggregator.toml"), metavar="FILE")
    _add_service(verbs, config)
    _add_boxes(verbs, config)
    _add_people(verbs, config)
    _add_backup(verbs, config)
    _add_database(verbs, config)
    _add_simulation(verbs, config)
    return top


def _add_service(verbs: Verbs, config: argparse.ArgumentParser) -> None:
    """Add what runs the centre, and what shows it."""
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
    verbs.add_parser("check", parents=[config], help="try whether broker and database have what is needed")
    init = verbs.add_parser("init", help="make certificates, secrets and the broker's rights")
    init.add_argument("--dir", type=Path, required=True)
    init.add_argument(
        "--host", action="append", default=[], help="how boxes reach this centre; kept; auto: forget it"
    )
    init.add_argument("--containers", action="store_true", help="for docker-compose.yml: its paths and users")


def _add_boxes(verbs: Verbs, config: argparse.ArgumentParser) -> None:
    """Add what lets boxes come and go."""
    for verb, text in (("add-node", "let a box join"), ("remove-node", "take a box's rights")):
        node = verbs.add_parser(verb, parents=[config], help=text)
        node.add_argument("name")
        if verb == "add-node":
            node.add_argument("--again", action="store_true", help="a new line for a node that waits to join")
    erasing = verbs.add_parser(
        "erase", parents=[config], help="erase what a node told: everything, or single events of a period"
    )
    erasing.add_argument("name")
    erasing.add_argument("--from", dest="since", default="", metavar="TIME", help="ISO 8601 or Unix ms")
    erasing.add_argument("--to", dest="until", default="", metavar="TIME", help="not included")


def _add_people(verbs: Verbs, config: argparse.ArgumentParser) -> None:
    """Add what lets people in."""
    user = verbs.add_parser("add-user", parents=[config], help="let a person in, or change their password")
    user.add_argument("name")
    user.add_argument("--role", choices=auth.ROLES, default="viewer")
    verbs.add_parser("list-users", parents=[config], help="show who is let in, and their roles")
    verbs.add_parser("remove-user", parents=[config], help="let a person in no more").add_argument("name")


def _add_backup(verbs: Verbs, config: argparse.ArgumentParser) -> None:
    """Add what writes the whole centre into a file, and what reads it."""
    for verb, text in (
        ("backup", "write all of the centre into one sealed file, while it runs"),
        ("restore", "make a centre out of such a file"),
    ):
        saving = verbs.add_parser(verb, parents=[config], help=text)
        saving.add_argument("file", type=Path, metavar="FILE", help="- for standard output or input")
        saving.add_argument(
            "--dir", type=Path, help="the folder that init made, where it is not above the config"
        )
        saving.add_argument("--passphrase-file", type=Path, metavar="FILE", help="else it is asked for")


def _add_database(verbs: Verbs, config: argparse.ArgumentParser) -> None:
    """Add what spreads the database."""
    sharding = verbs.add_parser("shard", parents=[config], help="spread the database over its shards")
    sharding.add_argument(
        "--zone", action="append", default=[], metavar="PREFIX=SHARD", help="where nodes of such names lie"
    )


def _add_simulation(verbs: Verbs, config: argparse.ArgumentParser) -> None:
    """Add the fleet that a centre can be tried with."""
    simulating = verbs.add_parser(
        "simulate", parents=[config], help="be a fleet of nodes at a centre that is there to be tried"
    )
    simulating.add_argument("--nodes", type=int, default=100, help="how many; 100")
    simulating.add_argument("--connections", type=int, help="to the broker; as many as nodes, at most 200")
    simulating.add_argument(
        "--interval", type=float, default=60.0, help="seconds between a node's batches; 60"
    )
    simulating.add_argument("--crossings", type=int, default=10, help="in each batch; 10")
    simulating.add_argument("--seconds", type=float, default=0.0, help="how long; else until it is stopped")
    simulating.add_argument("--prefix", default="sim", help="of the nodes' names; sim")
