"""`gb-agent status`: how the running agent stands, and the spool's account, for people and for programs."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import msgspec

from agent import inquiry
from agent.config import Config
from agent.deliver.spool_db import SpoolError, read_status

EPOCHS_SHOWN = 5  # a start each; `--json` tells all of them


def show(config: Config, as_json: bool) -> None:
    """Print how the running agent stands, and the spool's account; raise SpoolError."""
    told, answer = ask(config)
    status = account(config, answer)
    if as_json:
        own = msgspec.to_builtins(answer) if answer else {"pid": None, "connection": None, "storage": None}
        print(json.dumps({**status, "agent": told, **own}))
        return
    print(told)
    if config.page.listen:
        print(_page(config))
    for line in _troubles(answer) if answer else []:
        print(line)
    for epoch in status["epochs"][-EPOCHS_SHOWN:]:
        counts = (
            f"{epoch['committed']} event(s), {epoch['acked']} confirmed by the centre, {epoch['lost']} lost"
        )
        print(f"start {epoch['epoch']:>15}: {counts}")
    print(f"{status['pending']} event(s) wait, {status['lost']} lost, in {len(status['epochs'])} start(s)")


def _page(config: Config) -> str:
    """Return where the page is and what lets one in."""
    from agent.page import token

    try:
        known = token.read(Path(config.state_dir))
    except OSError as error:
        return f"page: {config.page.listen}, token: {error.strerror}. Use sudo"
    return f"page: {config.page.listen}, token: {known or 'made when the agent starts'}"


def _troubles(answer: inquiry.Answer) -> list[str]:
    """Return what went wrong with a running agent's disk and connection, a line each."""
    storage = answer.storage
    connection = answer.connection
    found = []
    if storage.problem:
        found.append(f"{storage.problem}; {storage.in_memory} event(s) are in memory only")
    if storage.damaged:
        found.append(
            f"the spool's file was damaged {storage.damaged} time(s) since the start, and was set aside"
        )
    if connection.refusals:
        found.append(f"the broker has refused {connection.refusals} message(s) since the start")
    if connection.live_dropped:
        found.append(f"{connection.live_dropped} live frame(s) were dropped: the connection is down or slow")
    return found


def ask(config: Config) -> tuple[str, inquiry.Answer | None]:
    """Ask the running agent; return a sentence, and what it says if it says anything."""
    try:
        answer = inquiry.ask(Path(config.state_dir))
    except inquiry.SilentError as error:
        return str(error), None
    if answer is None:
        return "no agent is running here (or it may be asked by root and its own user only)", None
    return in_words(answer.connection), answer


def account(config: Config, answer: inquiry.Answer | None) -> dict[str, Any]:
    """Return what is on disk; raise SpoolError. With nothing there, an agent may still run in memory."""
    try:
        return read_status(config.spool_path)
    except SpoolError:
        if answer is None:
            raise
        return {"epochs": [], "pending": answer.storage.in_memory, "lost": 0}


def in_words(standing: inquiry.Connection) -> str:
    """Return whether the agent is connected, since when, and what is wrong."""
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(standing.since / 1000))
    if standing.connected:
        doubt = f"; but {standing.problem}" if standing.problem else ""
        return f"connected to {standing.broker} since {since}{doubt}"
    if not standing.broker:
        return standing.problem
    why = standing.problem.removeprefix(f"{standing.broker}: ")
    return f"not connected to {standing.broker} since {since}, tried {standing.tries} time(s): {why}"
