"""The words of `gb-aggregator`: its verbs and their options."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TypeAlias

from aggregator import auth

Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    top = argparse.ArgumentParser(
        prog="gb-aggregator", description="Run and manage the centre of a GB-Fleet."
    )
    verbs = top.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    config = argparse.ArgumentParser(add_help=False)
    config.add_argument(
        "--config",
        type=Path,
        default=Path("aggregator.toml"),
        metavar="FILE",
        help="default: aggregator.toml",
    )
    _add_service(verbs, config)
    _add_boxes(verbs, config)
    _add_people(verbs, config)
    _add_backup(verbs, config)
    _add_database(verbs, config)
    _add_simulation(verbs, config)
    return top


def _add_service(verbs: Verbs, config: argparse.ArgumentParser) -> None:
    """Add what runs the centre, and what shows it."""
    verbs.add_parser(
        "run", parents=[config], help="run the aggregator: store events, serve the page and the API"
    )
    token = verbs.add_parser(
        "token", parents=[config], help="print the administrator's token, with which one logs in"
    )
    token.add_argument("--new", action="store_true", help="replace it with a new one")
    setting = verbs.add_parser(
        "set", parents=[config], help="show the settings, or change one in the config file"
    )
    setting.add_argument(
        "key",
        nargs="?",
        default="",
        metavar="SECTION.KEY",
        help="such as http.session_hours; if left out: show all settings",
    )
    setting.add_argument(
        "value", nargs="?", help="if left out: show the setting; separate the items of a list by commas"
    )
    tailing = verbs.add_parser("tail", parents=[config], help="print events as they arrive")
    tailing.add_argument("--node", default="", help="only this node")
    verbs.add_parser(
        "check",
        parents=[config],
        help="check that broker and database can be reached and offer what is needed",
    )
    init = verbs.add_parser("init", help="create certificates, secrets and the broker's access rules")
    init.add_argument("--dir", type=Path, required=True, help="the folder that they are written into")
    init.add_argument(
        "--host",
        action="append",
        default=[],
        help="name or address at which boxes reach this centre; remembered; auto: forget it",
    )
    init.add_argument(
        "--containers", action="store_true", help="use the paths and users of docker-compose.yml"
    )


def _add_boxes(verbs: Verbs, config: argparse.ArgumentParser) -> None:
    """Add what lets boxes come and go."""
    for verb, text in (
        ("add-node", "print the command with which a box joins"),
        ("remove-node", "revoke a box's access; what it counted is kept"),
    ):
        node = verbs.add_parser(verb, parents=[config], help=text)
        node.add_argument("name", help="the box's name")
        if verb == "add-node":
            node.add_argument(
                "--again", action="store_true", help="print a new command for a node that has not joined yet"
            )
    erasing = verbs.add_parser(
        "erase", parents=[config], help="erase a node's data: everything, or the single events of a period"
    )
    erasing.add_argument("name", help="the node")
    erasing.add_argument(
        "--from", dest="since", default="", metavar="TIME", help="first moment; ISO 8601 or Unix ms"
    )
    erasing.add_argument(
        "--to", dest="until", default="", metavar="TIME", help="first moment that is kept again"
    )


def _add_people(verbs: Verbs, config: argparse.ArgumentParser) -> None:
    """Add what lets people in."""
    user = verbs.add_parser("add-user", parents=[config], help="create a user, or change their password")
    user.add_argument("name", help="the user's name; the password is asked for")
    user.add_argument("--role", choices=auth.ROLES, default="viewer", help="default: viewer")
    verbs.add_parser("list-users", parents=[config], help="list the users and their roles")
    removed = verbs.add_parser("remove-user", parents=[config], help="remove a user and end their sessions")
    removed.add_argument("name", help="the user's name")


def _add_backup(verbs: Verbs, config: argparse.ArgumentParser) -> None:
    """Add what writes the whole centre into a file, and what reads it."""
    for verb, text in (
        ("backup", "write the whole centre into one encrypted file, while it runs"),
        ("restore", "restore the centre from a backup"),
    ):
        saving = verbs.add_parser(verb, parents=[config], help=text)
        saving.add_argument(
            "file", type=Path, metavar="FILE", help="the backup; - is standard output or input"
        )
        saving.add_argument(
            "--dir", type=Path, help="the folder that init wrote; default: the one above the config's"
        )
        saving.add_argument(
            "--passphrase-file",
            type=Path,
            metavar="FILE",
            help="holds the passphrase; without it the passphrase is asked for",
        )


def _add_database(verbs: Verbs, config: argparse.ArgumentParser) -> None:
    """Add what spreads the database."""
    sharding = verbs.add_parser("shard", parents=[config], help="distribute the database over its shards")
    sharding.add_argument(
        "--zone",
        action="append",
        default=[],
        metavar="PREFIX=SHARD",
        help="keep nodes whose names begin so on this shard",
    )


def _add_simulation(verbs: Verbs, config: argparse.ArgumentParser) -> None:
    """Add the fleet that a centre can be tried with."""
    simulating = verbs.add_parser(
        "simulate", parents=[config], help="simulate a fleet of nodes, to test a centre"
    )
    simulating.add_argument("--nodes", type=int, default=100, help="number of nodes; default: 100")
    simulating.add_argument(
        "--connections", type=int, help="connections to the broker; default: one a node, at most 200"
    )
    simulating.add_argument(
        "--interval", type=float, default=60.0, help="seconds between two batches of a node; default: 60"
    )
    simulating.add_argument("--crossings", type=int, default=10, help="crossings in each batch; default: 10")
    simulating.add_argument(
        "--seconds", type=float, default=0.0, help="duration; default: until it is stopped"
    )
    simulating.add_argument("--prefix", default="sim", help="prefix of the nodes' names; default: sim")
