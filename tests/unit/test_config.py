"""The agent's configuration: strict, typed, and documented by its sample."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from agent import config, wire
from tests.unprivileged import unprivileged

CAMERA = 'node = "gate-1"\n[camera.cam0]\nsource = "0"\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "agent.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CAMERA + "sorce = 1", "camera.cam0.sorce: unknown key. Did you mean 'source'?"),
        (
            CAMERA + '[broker]\nurl = "http://h"',
            "agent.toml: broker.url: the broker's address must look like",
        ),
        (CAMERA + "[broker]\nur = 1", "broker.ur: unknown key. Did you mean 'url'?"),
        (
            CAMERA + "confidence = 3.0",
            "camera.cam0.confidence: a number above 0 and below 1 is wanted, not 3.0",
        ),
        (
            'node = "gate-1"\n[camera.cam0]\nsource = ""',
            'camera.cam0.source: a text in quotes of 1 to 1000 letters is wanted, not ""',
        ),
        (
            CAMERA + "[camera.cam0.lines.a]\npoints = [[0, 1]]",
            "camera.cam0.lines.a.points: a list of 2 to 8 entries is wanted, not one of 1",
        ),
        (
            CAMERA + "[camera.cam0.lines.a]\npoints = [[0, 0], [960, 540]]",
            "camera.cam0.lines.a.points[1][0]: a number from 0 to 1, a share of the picture's width or "
            "height, is wanted, not 960",
        ),
        ("[node]", "node: a text in quotes is wanted, not a table"),
        ("node = 7", 'node: a text in quotes is wanted, not 7; write node = "7"'),
        (CAMERA + 'loop = "Yes"', 'camera.cam0.loop: true or false is wanted, not "Yes"; write loop = true'),
        (
            CAMERA + 'pace = "Rael"',
            'pace: one of "real", "fast" is wanted, not "Rael". Did you mean \'real\'?',
        ),
        (
            CAMERA + 'labels = "car"',
            'camera.cam0.labels: a list is wanted, not "car"; write labels = ["car"]',
        ),
        (
            CAMERA + "size = [640, -1]",
            "camera.cam0.size[1]: a whole number from 0 to 16384 is wanted, not -1",
        ),
        (
            CAMERA + 'format = "MJPEG"',
            "camera.cam0.format: a text in quotes of four letters, as MJPG is wanted",
        ),
        (
            CAMERA + "look_budget = true",
            'one of "auto", "half" or a number from 0 to 100000 is wanted, not true',
        ),
        (CAMERA + "fps = 2026-11-29", "fps: a number from 0 to 240 is wanted, not a date"),
        (CAMERA + "[camera.cam0.lines.a]\npoint = []", "camera.cam0.lines.a.point: unknown key"),
        (CAMERA + '[camera.cam0.lines."a$"]\npoints = []', "camera.cam0.lines.a$: a name has"),
        ('node = "Gate 1"\n[camera.cam0]\nsource = "0"', "node: 'Gate 1' is no node name"),
        ('node = "gate-1"', "no camera"),
        (
            "[mqtt]\n" + CAMERA,
            "mqtt: unknown table. Known here: node, state_dir, broker, spool, privacy, page, budget, camera",
        ),
        ("[brokr]\n" + CAMERA, "brokr: unknown table. Did you mean 'broker'?"),
        ('node = "a"\n[cam0]\nsource = "0"', "cam0: unknown table. Did you mean [camera.cam0]?"),
        ('node = "a"\n["cam 0"]\nsource = "0"', 'Did you mean [camera."cam 0"]?'),
        (CAMERA + "[lines.a]", "lines: unknown table. It is known below [camera.NAME]. Known here: node"),
        (CAMERA + "[camera.cam0.line.a]", "camera.cam0.line: unknown table. Did you mean 'lines'?"),
        (
            CAMERA + "[camera.cam0.line]\npoints = []",
            "Did you mean [camera.NAME.lines.line] or [camera.NAME.zones.line]?",
        ),
        (
            CAMERA + 'state_dir = "/srv"',
            "camera.cam0.state_dir: unknown key. It is known at the top, before the first [table]. Known",
        ),
        ('source = "0"', "source: unknown key. It is known below [camera.NAME]. Known here: node"),
        ("owner = 3", "owner: unknown key. Known here: node"),
        ("allow_from_centre = true", "allow_from_centre: unknown key. It is known below [camera]"),
        ("node =", "Invalid value"),
        ("node = gate-1", 'Write a text in quotes: node = "..."'),
        ("[camera.cam0]", "node: missing; a text in quotes is wanted"),
        ('node = "gate-1"\n[camera]\nsource = "0"', "camera.source: give the table a name, as [camera.NAME]"),
        ('node = "gate-1"\n[camera]\ncam0 = "0"', 'camera.cam0: a table is wanted, not "0"'),
        (
            CAMERA + "[camera.cam0.lines]\npoints = []",
            "camera.cam0.lines.points: give the table a name, as [camera.cam0.lines.NAME]",
        ),
        ('node = "gate-1"\ncamera = 3', "camera: write a table for each camera"),
    ],
)
def test_bad_config_names_its_place(tmp_path: Path, text: str, message: str) -> None:
    """Each mistake is refused with the path of the key and what is wrong."""
    with pytest.raises(config.ConfigError, match=re.escape(message)):
        config.load(write(tmp_path, text))


@pytest.mark.parametrize("form", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_file_of_any_editor_is_read(tmp_path: Path, form: str, end: str) -> None:
    """With the mark that some editors put at its begin, and with either end of a line."""
    path = tmp_path / "agent.toml"
    path.write_bytes(CAMERA.replace('"0"', '"/srv/straße.mp4"').replace("\n", end).encode(form))
    assert config.load(path).camera["cam0"].source == "/srv/straße.mp4"


def test_a_file_in_another_encoding_says_how_to_save_it(tmp_path: Path) -> None:
    """UTF-16, which some editors call Unicode, is no TOML."""
    path = tmp_path / "agent.toml"
    path.write_bytes(CAMERA.encode("utf-16"))
    with pytest.raises(config.ConfigError, match=r"agent\.toml: is no UTF-8 text\. Save it as UTF-8$"):
        config.load(path)


def test_missing_file_says_what_to_do(tmp_path: Path) -> None:
    """A file that is not there is named, with the option that names another."""
    with pytest.raises(config.ConfigError, match="--config FILE"):
        config.load(tmp_path / "none.toml")


def test_a_file_for_others_says_sudo(tmp_path: Path) -> None:
    """Who may not read the config is told how, not that the file is elsewhere; likewise with the spool."""
    path = write(tmp_path, CAMERA)
    path.chmod(0o000)
    code = """
for read, path in zip((load, read_status), map(Path, sys.argv[1:])):
    try: read(path)
    except (ConfigError, SpoolError) as error: print(error)
"""
    imports = (
        "from pathlib import Path\nfrom agent.config import ConfigError, load\n"
        "from agent.deliver.spool_db import SpoolError, read_status"
    )
    done = unprivileged(imports, code, str(path), str(tmp_path / "spool.db"))
    assert "Use sudo" in done.stdout, done.stderr
    assert "run this as the agent's user or as root" in done.stdout, done.stderr


def test_sample_loads_and_shows_every_option() -> None:
    """The sample config is the reference: it loads, and no option is missing from it."""
    loaded = config.load(config.SAMPLE)
    text = config.SAMPLE.read_text()
    shapes = (
        config.Config,
        config.BrokerConfig,
        config.SpoolConfig,
        config.PrivacyConfig,
        config.CameraConfig,
        wire.Line,
        wire.Zone,
        wire.Plane,
    )
    for shape in shapes:
        for field in msgspec.structs.fields(shape):
            assert re.search(rf"\b{field.encode_name}\b", text), f"{field.encode_name} is not in the sample"
    assert loaded.document().cameras["cam0"].lines["main"].points == [(0.0, 0.6), (1.0, 0.6)]


@pytest.mark.parametrize(
    ("source", "preview", "may"),
    [
        ("0", "off", False),
        ("/dev/video0", "off", False),
        ("rtsp://camera/1", "off", False),
        ("http://camera/mjpeg", "off", False),
        ("RTSP://camera/1", "off", False),
        (" rtsp://camera/1", "off", False),
        ("Https://camera/mjpeg", "off", False),
        ("rtsp://camera/1", "blurred", True),
        ("rtsp://camera/1", "unblurred", True),
        ("file:///srv/street.mp4", "off", False),
        ("scene:?seed=7", "off", False),
        ("street.mp4", "off", False),
        ("street.mp4", "blurred", True),
    ],
)
def test_off_lets_no_picture_leave_whatever_the_source(source: str, preview: str, may: bool) -> None:
    """The owner's "off" binds cameras, recordings and the built-in street alike."""
    camera = config.CameraConfig(source=source, preview=preview)  # type: ignore[arg-type]
    assert camera.pictures_may_leave is may
