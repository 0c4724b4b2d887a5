"""docker-compose.yml: read by the real docker-compose, judged by what it says of each service."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent import config as agent_config
from aggregator import config as centre_config
from aggregator.setup.layout import CONTAINERS
from aggregator.setup.provision import prepare
from deploy.stack import Service, find_mosquitto, free_port

ROOT = Path(__file__).parents[2]
BASE_IMAGES = {
    "python:3.12-slim", "node:20-slim", "mongo:7", "eclipse-mosquitto:2", "bluenviron/mediamtx:1",
    "caddy:2",
}  # fmt: skip
LONG_RUNNING = ("mongodb", "mosquitto", "aggregator", "demo")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services as docker-compose understands them."""
    tool = shutil.which("docker-compose")
    command = [tool] if tool else ["docker", "compose"]
    if not tool and not shutil.which("docker"):
        pytest.skip("there is no docker-compose on this machine")
    done = subprocess.run(
        [*command, "--profile", "demo", "--profile", "backup", "--profile", "https", "config"],
        capture_output=True, text=True, cwd=ROOT, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(yaml.safe_load(done.stdout)["services"])


def folders(service: dict[str, Any]) -> dict[str, str]:
    """Return volume -> folder in the container, from either form in which compose writes it."""
    rows = [
        (row["source"], row["target"]) if isinstance(row, dict) else tuple(row.split(":")[:2])
        for row in service.get("volumes", [])
    ]
    return dict(rows)


def test_every_service_is_tight(services: dict[str, Any]) -> None:
    """All are read-only, without capabilities and new privileges; those that run on are no root."""
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert name in ("init", "backup", "caddy") or "cap_add" not in service
    assert {services[name].get("user") for name in ("mongodb", "mosquitto")} == {"999:999", "1883:1883"}
    for file, user in (("aggregator/Dockerfile", "10001:10001"), ("agent/Dockerfile", "10002:10002")):
        assert (ROOT / file).read_text().rpartition("USER ")[2].startswith(user)


def test_only_the_page_and_the_brokers_tls_port_are_published(services: dict[str, Any]) -> None:
    """The database is on a network with no way out, and nothing else listens outside."""
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert set(published) - {"video"} == {"aggregator", "mosquitto", "caddy"}  # video: with its profile
    assert "8883" in str(published["mosquitto"])
    assert list(services["mongodb"]["networks"]) == ["store"]


def test_each_service_sees_its_own_folder_only(services: dict[str, Any]) -> None:
    """The authority's key reaches no running service, and folders lie where `init` says they lie."""
    seen = {name: folders(service) for name, service in services.items()}
    assert not any("authority" in seen[name] for name in LONG_RUNNING)
    assert seen["mosquitto"] == {
        "broker-config": CONTAINERS.mosquitto,
        "broker-data": CONTAINERS.mosquitto_data,
    }
    assert seen["aggregator"] == {"centre-config": CONTAINERS.centre}
    assert seen["demo"] == {"demo-config": CONTAINERS.demo, "demo-data": CONTAINERS.demo_data}
    made = {Path(target).name for target in seen["init"].values()}
    assert made == {"ca", *(name for name, _ in CONTAINERS.owners)}


def test_services_wait_for_what_they_need_and_say_how_they_are(services: dict[str, Any]) -> None:
    """Nothing starts before its secrets exist; each service that runs on has a health check."""
    for name in ("mongodb", "mosquitto"):
        assert services[name]["depends_on"]["init"]["condition"] == "service_completed_successfully"
    for name in ("mongodb", "mosquitto", "aggregator", "demo"):
        assert services[name]["healthcheck"]["test"]
    waits = {name: row["condition"] for name, row in services["aggregator"]["depends_on"].items()}
    assert waits == {"mongodb": "service_healthy", "mosquitto": "service_healthy"}


def test_the_images_use_known_bases_only() -> None:
    """Known base images, no frontend line, no digest."""
    used = set(re.findall(r"^    image: (\S+)", (ROOT / "docker-compose.yml").read_text(), re.M))
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    own = {f"gb-fleet-aggregator:{version}", f"gb-fleet-agent:{version}"}
    assert own <= used, "an image has the version in its name, so that a new one is built"
    for file in ("aggregator/Dockerfile", "agent/Dockerfile"):
        text = (ROOT / file).read_text()
        assert "syntax=" not in text
        used |= set(re.findall(r"^FROM (\S+)", text, re.M))
    assert used - own == BASE_IMAGES


@pytest.mark.parametrize(
    ("named", "sites"),
    [
        ("fleet.example", ["fleet.example"]),
        ("fleet.example,gates.example, 10.1.2.3", ["fleet.example", "gates.example", "10.1.2.3"]),
        ("", ["localhost"]),
    ],
)
def test_caddy_serves_every_name_of_the_centre(
    services: dict[str, Any], tmp_path: Path, named: str, sites: list[str]
) -> None:
    """The real Caddy, by the command that stands in the file: each name of `GB_HOST` is a site of its own."""
    if shutil.which("caddy") is None:
        pytest.skip("there is no caddy on this machine")
    shell, option, script = services["caddy"]["command"]
    script = script.replace("$$", "$").replace("/tmp/", f"{tmp_path}/").replace("caddy run", "caddy adapt")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GB_HOST": named or "localhost"}
    done = subprocess.run([shell, option, script], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    (server,) = json.loads(done.stdout)["apps"]["http"]["servers"].values()
    (route,) = server["routes"]
    assert route["match"] == [{"host": sites}]
    (proxy,) = route["handle"][0]["routes"][0]["handle"]
    assert proxy["upstreams"] == [{"dial": "aggregator:8080"}]
    assert services["caddy"]["environment"] == {"GB_HOST": "localhost"}


def test_no_log_grows_without_an_end(services: dict[str, Any]) -> None:
    """Each service's log is 30 MB at most: a removed box that knocks for ever fills no disk."""
    for name, service in services.items():
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}, name


def test_what_init_writes_for_the_containers_is_valid(tmp_path: Path) -> None:
    """The aggregator's and the demo's configs load, and every file that they name is one that init made."""
    prepare(tmp_path, ["centre.example"], replace(CONTAINERS, owners=()))
    for place, folder in ((CONTAINERS.centre, "centre"), (CONTAINERS.demo, "demo")):
        for file in (tmp_path / folder).glob("*.toml"):
            text = file.read_text()
            for name in re.findall(rf"{place}/([a-z.]+)", text):
                assert (tmp_path / folder / name).exists(), name
            local = tmp_path / f"{folder}-here.toml"
            local.write_text(text.replace(f'"{place}/', f'"{tmp_path}/{folder}/'))
    config = centre_config.load(tmp_path / "centre-here.toml")
    assert config.mongodb_uri().startswith("mongodb://gb:")
    assert agent_config.load(tmp_path / "demo-here.toml").node == "demo-1"


def test_the_broker_settings_for_the_containers_start_a_broker(tmp_path: Path) -> None:
    """The same settings file, with this machine's paths, starts the real broker."""
    prepare(tmp_path, (), replace(CONTAINERS, owners=()))
    text = (tmp_path / "mosquitto" / "mosquitto.conf").read_text()
    port = free_port()
    plugin = next(path for path in Path("/usr/lib").rglob("mosquitto_dynamic_security.so"))
    for name, here in (
        (CONTAINERS.plugin, str(plugin)),
        (CONTAINERS.mosquitto_data, str(tmp_path / "mosquitto-data")),
        (CONTAINERS.mosquitto, str(tmp_path / "mosquitto")),
        ("listener 8883", f"listener {port} 127.0.0.1"),
    ):
        text = text.replace(name, here)
    settings = tmp_path / "here.conf"
    settings.write_text(text + ("user root\n" if os.geteuid() == 0 else ""))
    service = Service("mosquitto", [find_mosquitto(), "-c", str(settings)], port, tmp_path / "log")
    service.start()
    service.kill(signal.SIGTERM)


def readable_by_others(path: Path) -> bool:
    """True if a container's user could come to this folder."""
    return all(parent.stat().st_mode & 0o001 for parent in [path, *path.parents])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make namespaces and run as other users")
@pytest.mark.skipif(not readable_by_others(ROOT), reason="other users may not read this checkout")
def test_the_services_run_as_their_users(tmp_path: Path) -> None:
    """With the file's own commands, users, capabilities, folders and health checks, all of it works together.

    Init twice, mosquitto, mongod, aggregator, token, a setting, add-node, and the demo's box through TLS.
    """
    view = tmp_path / "view"
    view.mkdir()
    command = [sys.executable, "-m", "tests.integration.as_containers", str(view)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=180)
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["mosquitto"]
    assert said["aggregator"]
    assert len(said["token"]) == len(said["new"]) == 48
    assert said["token"] != said["new"]
    assert said["set"] == 'site.timezone = "Europe/Berlin"'
    assert said["line"].startswith(
        "sudo systemd/install.sh --join mqtts://centre.example:8883 --node gate-07"
    )
    assert said["demo"]["node"] == "demo-1"
    assert list(view.iterdir()) == []
