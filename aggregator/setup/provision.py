"""Prepare a centre: certificates, secrets, the broker's rights and the database's user, in one folder.

What always holds:

* Nothing that exists is replaced: a second run changes nothing. Only the server's certificate is made again,
  by the same authority, when it lacks a name or has less than a year left. Boxes pin the authority.
* Every service has a folder of its own and can read nothing else; the authority's key is in a folder that
  no running service sees.

    DIR/ca               ca.key ca.crt                              read by nobody but this module
    DIR/mosquitto        mosquitto.conf server.crt server.key       read by the broker
    DIR/mosquitto-data   dynamic-security.json                      kept by the broker itself
    DIR/mongodb          root-password user.js                      read by the database at its first start
    DIR/centre           aggregator.toml ca.crt address, secrets    read by the aggregator
    DIR/demo             agent.toml ca.crt secret                   read by the demo's agent
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path

from agent import atomic_file
from aggregator.setup import acl, addresses, certificates
from aggregator.setup.layout import InitError, Layout, here

DEMO_NODE = "demo-1"
DATABASE = "gb_fleet"
_FOLDERS = ("ca", "mosquitto", "mosquitto-data", "mongodb", "centre", "demo")
_ALWAYS_SERVED = ("localhost", "127.0.0.1", "::1", "mosquitto", "broker", "aggregator")


def prepare(folder: Path, hosts: Sequence[str] = (), place: Layout | None = None) -> str:
    """Make what is missing in `folder`; return in a sentence how boxes reach this centre.

    Args:
        folder: where everything lies.
        hosts: by which names boxes reach the broker, the best first. They are kept: without any, those of the
            last time stand. "auto" forgets them, and this machine's own address is taken.
        place: where the services will find their folders; None: on this machine.

    Raises:
        InitError: it cannot be written, or a name is none.
    """
    place = place or here(folder)
    try:
        for name in _FOLDERS:
            (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        names = list(dict.fromkeys([*_kept(folder / "centre" / "hosts", hosts), *addresses.own()]))
        _certificates(folder, names)
        _secrets(folder)
        _broker(folder, place)
        _database(folder)
        address = folder / "centre" / "address"
        said = addresses.told(_read(address) if address.exists() else names[0], names[0])
        atomic_file.write(address, names[0])
        _write_once(folder / "centre" / "aggregator.toml", _AGGREGATOR.format(place=place))
        _write_once(folder / "demo" / "agent.toml", _DEMO.format(place=place, node=DEMO_NODE))
        _give(folder, place.owners)
        return said
    except OSError as error:
        raise InitError(f"{error.filename}: {error.strerror}; run it as a user who may write there") from None


def _kept(file: Path, hosts: Sequence[str]) -> list[str]:
    """Return the names that were given now, else those of an earlier run; keep them."""
    given = [name for host in hosts for name in host.replace(",", " ").split()]
    if given == ["auto"]:
        file.unlink(missing_ok=True)
        return []
    before = file.read_text().split() if file.exists() else []
    if given and given != before:
        atomic_file.write(file, "\n".join(given))
    return given or before


# ── files ─────────────────────────────────────────────────────────────────────────────────────────


def _write_once(path: Path, content: str | bytes, mode: int = 0o600) -> None:
    if not path.exists():
        atomic_file.write(path, content, mode)


def _read(path: Path) -> str:
    return path.read_text().strip()


def _give(folder: Path, owners: Iterable[tuple[str, int]]) -> None:
    """Hand each service its own folder."""
    for name, uid in owners:
        (folder / name).mkdir(mode=0o700, exist_ok=True)
        (folder / name).chmod(0o700)
        for path in [folder / name, *(folder / name).iterdir()]:
            os.chown(path, uid, uid, follow_symlinks=False)


# ── what is made ──────────────────────────────────────────────────────────────────────────────────


def _certificates(folder: Path, hosts: Sequence[str]) -> None:
    key_file = folder / "ca" / "ca.key"
    ca_file = folder / "ca" / "ca.crt"
    if not ca_file.exists():
        key, ca = certificates.make_authority()
        atomic_file.write(key_file, key, 0o400)
        atomic_file.write(ca_file, ca, 0o444)
    for name in ("centre", "demo"):
        _write_once(folder / name / "ca.crt", ca_file.read_bytes(), 0o444)
    for chain in (folder / "mosquitto" / "server.crt", folder / "centre" / "page.crt"):
        _server(chain, key_file.read_bytes(), ca_file.read_bytes(), hosts)


def _server(chain: Path, key: bytes, authority: bytes, hosts: Sequence[str]) -> None:
    """Make a server's certificate where there is none, where it lacks a name, and before it ends."""
    present = certificates.names_in(chain.read_bytes()) if chain.exists() else set()
    wanted = present | set(_ALWAYS_SERVED) | set(hosts)
    if wanted == present and not certificates.ends_soon(chain.read_bytes()):
        return
    try:
        pair = certificates.make_server(key, authority, sorted(wanted))
    except ValueError as error:
        raise InitError(f"a name in {', '.join(hosts)} is no host name: {error}") from None
    atomic_file.write(chain.with_suffix(".key"), pair[0])
    atomic_file.write(chain, pair[1], 0o644)


def _secrets(folder: Path) -> None:
    for name in ("aggregator", "porter", "admin", "mongodb", "token"):
        _write_once(folder / "centre" / name, secrets.token_hex(24))
    _write_once(folder / "mongodb" / "root-password", secrets.token_hex(24))
    _write_once(folder / "demo" / "secret", secrets.token_hex(24))


def _broker(folder: Path, place: Layout) -> None:
    users = {acl.AGGREGATOR: "aggregator", acl.PORTER: "porter", acl.ADMIN: "admin"}
    passwords = {user: _read(folder / "centre" / name) for user, name in users.items()}
    state = acl.first_state(passwords, {DEMO_NODE: _read(folder / "demo" / "secret")})
    _write_once(folder / "mosquitto-data" / "dynamic-security.json", json.dumps(state, indent=1))
    _write_once(folder / "mosquitto" / "mosquitto.conf", _MOSQUITTO.format(place=place), 0o644)


def _database(folder: Path) -> None:
    """Write the user that the aggregator is, with rights on its own database, and to see what it spends."""
    user = {
        "createUser": "gb",
        "pwd": _read(folder / "centre" / "mongodb"),
        "roles": [
            *({"role": role, "db": DATABASE} for role in ("readWrite", "dbAdmin")),
            {"role": "clusterMonitor", "db": "admin"},  # to ask what it spends
        ],
    }
    text = f'db.getSiblingDB("{DATABASE}").runCommand({json.dumps(user)});\n'
    _write_once(folder / "mongodb" / "user.js", text)


_MOSQUITTO = """\
# Written by `gb-aggregator init`. Users and rights are in dynamic-security.json, which the broker keeps.
per_listener_settings false
allow_anonymous false
plugin {place.plugin}
plugin_opt_config_file {place.mosquitto_data}/dynamic-security.json

listener {place.broker_port}
certfile {place.mosquitto}/server.crt
keyfile {place.mosquitto}/server.key
tls_version tlsv1.2

# The broker is a pipe: nodes keep their events until the centre has stored them. Retained states stay.
persistence true
persistence_location {place.mosquitto_data}/
autosave_interval 60
max_queued_messages 100000
max_inflight_messages 200
max_packet_size 1048576
set_tcp_nodelay true

log_dest stderr
log_type error
log_type warning
log_type notice
"""

_AGGREGATOR = """\
# Written once by `gb-aggregator init`; yours to change.

[broker]
url = "mqtts://{place.broker}:{place.broker_port}"
username = "gb.aggregator"
password_file = "{place.centre}/aggregator"
ca_file = "{place.centre}/ca.crt"

[mongodb]
uri = "mongodb://{place.mongodb}/?authSource=gb_fleet"
username = "gb"
password_file = "{place.centre}/mongodb"
database = "gb_fleet"

[http]
host = "{place.http[0]}"
port = {place.http[1]}
tls = true                              # by the certificate that `init` makes here; false behind a proxy
token_file = "{place.centre}/token"

[site]
timezone = "UTC"                        # decides what "today" is, e.g. "Europe/Berlin"
join = "{place.add_node}"

[enrol]
hosts = []                              # by which name boxes reach this centre; empty: as init found it
broker_port = {place.broker_port}
"""

_DEMO = """\
# Written once by `gb-aggregator init`: a box that watches the built-in scene.

node = "{node}"
state_dir = "{place.demo_data}"

[broker]
url = "mqtts://{place.broker}:{place.broker_port}"
password_file = "{place.demo}/secret"
ca_file = "{place.demo}/ca.crt"

[camera.cam0]
source = "scene:?seed=7"

[camera.cam0.lines.main]
points = [[0.0, 0.6], [1.0, 0.6]]
"""
