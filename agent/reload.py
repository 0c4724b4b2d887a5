"""A changed configuration: look at it first, then begin anew in the same process (SIGHUP).

What always holds: a file that could not run stops nothing; the box goes on with what it has and says why.
Beginning anew is the orderly end of a stop (open tracks and minutes are on disk) and a fresh start of the
same program, so a reload leaves nothing of the old settings behind. systemd sees one process all the time.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn

from agent import startup
from agent.config import ConfigError, load
from agent.watchdog import notify

_LOG = logging.getLogger(__name__)

_PATIENCE = (
    90_000_000  # us that systemd waits for a sign of life meanwhile: an end and a start on a small box
)


def refusal(path: Path) -> str:
    """Return why an agent could not start with this file, in one line; empty if it could."""
    try:
        config = load(path)
        startup.meet_models(config, startup.load_models(config))
    except (ConfigError, startup.NodeError) as error:
        return str(error)
    return ""


class Reload:
    """Ends the run so that it begins anew, once somebody asks for it and the file can be used."""

    def __init__(self, path: Path, stop: asyncio.Event) -> None:
        self.wanted = False
        self._path = path
        self._stop = stop
        self._loop = asyncio.get_running_loop()
        self._look: threading.Thread | None = None

    def ask(self) -> None:
        """Look at the file in a thread of its own: loading models takes seconds."""
        if self._look is None or not self._look.is_alive():
            self._look = threading.Thread(target=self._judge, name="reload", daemon=True)
            self._look.start()

    def _judge(self) -> None:
        why = refusal(self._path)
        if why:
            _LOG.error("the changed config is refused, the running one stays: %s", why)
        else:
            self._loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        _LOG.info("%s is valid; restarting with it", self._path)
        self.wanted = True
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        notify(f"RELOADING=1\nMONOTONIC_USEC={now}\nWATCHDOG_USEC={_PATIENCE}")
        self._stop.set()


def begin_anew() -> NoReturn:
    """Replace this process by a fresh start of the same command."""
    signal.signal(
        signal.SIGHUP, signal.SIG_IGN
    )  # until the fresh start listens; it reads the newest file anyway
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
