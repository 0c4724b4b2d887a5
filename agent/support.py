"""`gb-agent support`: one archive that tells what a box is and how it fares, without secrets and without
pictures.

    support-NODE.tar.gz:  box.json  status.json  agent.toml  agent.log  check.txt  pictures.json  models.json

What always holds: each text goes through `agent.redact`; nothing is taken along but the files named here; the
archive is readable by its owner alone.
"""

from __future__ import annotations

import io
import json
import os
import platform
import re
import sys
import tarfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from agent import board, logs
from agent.config import Config
from agent.redact import redactor_of
from agent.resources import temperature

LINES = 5000
_PACKAGES = ("gb-fleet", "numpy", "onnxruntime", "opencv-python-headless", "paho-mqtt", "msgspec", "psutil")
_COMMENT = re.compile(
    r"^(?P<before>(?:[^\"'#\n]|\"[^\"\n]*\"|'[^'\n]*')*)#.*$", re.M
)  # nobody can judge prose
_KEPT = ("pictures.json", "models.json")  # of the state folder


def write(path: Path, config: Config, config_file: Path, status: dict[str, Any], check: str) -> list[str]:
    """Write the archive and return the names of what is in it; raise OSError.

    Args:
        path: of the archive, which must not exist yet.
        config: the box's.
        config_file: where it stands.
        status: the spool's account and the agent's own word.
        check: what `gb-agent check` prints.
    """
    state = Path(config.state_dir)
    redactor = redactor_of(config)
    texts = {
        "box.json": json.dumps(box(state), indent=1),
        "status.json": json.dumps(status, indent=1),
        "check.txt": check,
        "agent.toml": _COMMENT.sub(r"\g<before>", config_file.read_text()),
        "agent.log": logs.read(state, LINES, redactor),
    }
    texts |= {name: (state / name).read_text() for name in _KEPT if (state / name).exists()}
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as out, tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, text in texts.items():
            _add(archive, name, redactor.clean(text).encode())
    return list(texts)


def box(state: Path) -> dict[str, Any]:
    """Return what the machine is and what it runs."""
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "python": sys.version,
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "memory": psutil.virtual_memory()._asdict(),
        "disk": psutil.disk_usage(str(state))._asdict() if state.exists() else None,
        "uptime_seconds": round(time.time() - psutil.boot_time()),
        "temperature": temperature(),
        "throttled": board.read().throttled,
        "packages": {name: _version(name) for name in _PACKAGES},
        "files": {entry.name: entry.stat().st_size for entry in state.iterdir()} if state.exists() else {},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(f"support/{name}")
    entry.size = len(content)
    entry.mtime = int(time.time())
    entry.mode = 0o600
    archive.addfile(entry, io.BytesIO(content))
