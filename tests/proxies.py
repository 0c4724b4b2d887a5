"""Real proxies before a centre, with the settings that docs/centre.md gives: nginx and Caddy of Debian."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from deploy.stack import Service, free_port

DOCS = Path(__file__).parents[1] / "docs" / "centre.md"
# What an nginx needs that is nobody's service, and nothing that changes what it passes on.
_NGINX = """\
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.err;
worker_processes 1;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        {inside}
    }}
}}
"""
_CADDY = """\
{{
    admin off
    auto_https off
    storage file_system {folder}
}}
http://127.0.0.1:{port} {{
    bind 127.0.0.1
    {inside}
}}
"""


def nginx(folder: Path, inside: str) -> Service:
    """Return an nginx with that in its `server`; the test is skipped where there is none."""
    return _service("nginx", _NGINX, folder, inside, ["-c", "{file}", "-p", "{folder}"])


def caddy(folder: Path, inside: str) -> Service:
    """Return a Caddy with that in its site; the test is skipped where there is none."""
    return _service("caddy", _CADDY, folder, inside, ["run", "--adapter", "caddyfile", "--config", "{file}"])


def _service(name: str, text: str, folder: Path, inside: str, words: list[str]) -> Service:
    program = shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip(f"no {name}: `sudo apt-get install {name}`")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.conf"
    port = free_port()
    file.write_text(text.format(folder=folder, port=port, inside=inside))
    command = [program, *(word.format(file=file, folder=folder) for word in words)]
    return Service(name, command, port, folder / f"{name}.log")


def documented(kind: str, mark: str, centre: str) -> str:
    """Return the block of docs/centre.md in that language which contains `mark`, about this centre."""
    blocks = re.findall(rf"^```{kind}\n(.*?)^```", DOCS.read_text(), re.M | re.S)
    (block,) = [one for one in blocks if mark in one]
    return str(block).replace("127.0.0.1:8080", centre.removeprefix("http://"))
