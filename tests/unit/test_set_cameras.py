"""Cameras set from the centre: only where the owner allows it, tried first, and never told back in full."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent import centre_cameras, set_cameras, wire
from agent import config as configuration
from agent.command import Refused
from agent.config import Config, ConfigError

OWN = '[camera.cam0]\nsource = "scene:?seed=7"\npreview = "off"\nconfidence = 0.4\n'


def box(folder: Path, allow: str = "[camera]\nallow_from_centre = true\n", cameras: str = OWN) -> Config:
    """Return the config of a box as it is now."""
    path = folder / "agent.toml"
    path.write_text(f'node = "box-1"\nstate_dir = "{folder}"\n{allow}{cameras}')
    return configuration.load(path)


def film(folder: Path) -> Path:
    """Write a folder of two pictures, which is a film."""
    place = folder / "secret place"
    place.mkdir()
    for number in range(2):
        cv2.imwrite(str(place / f"{number}.jpg"), np.full((120, 160, 3), 90 * number, np.uint8))
    return place


def test_a_camera_is_added_changed_and_taken_away(tmp_path: Path) -> None:
    """It is tried, kept, and there at the next start; what the owner says of theirs stays."""
    change = set_cameras.put(box(tmp_path), "cam1", '{"source": "scene:?seed=3", "model": "mask"}')
    assert change.told.startswith("cam1 gives ")
    assert change.detector is not None
    assert change.detector.path.stem == "gb-yolo-n-mask"
    config = box(tmp_path)
    assert (config.camera["cam1"].source, config.camera["cam1"].model) == ("scene:?seed=3", "mask")
    set_cameras.put(config, "cam0", '{"source": "scene:?seed=4"}')
    config = box(tmp_path)
    own = config.camera["cam0"]
    assert (own.source, own.preview, own.confidence) == ("scene:?seed=4", "off", 0.4)
    set_cameras.remove(config, "cam1")
    config = box(tmp_path)
    assert list(config.camera) == ["cam0"]
    change = set_cameras.remove(config, "cam0")
    assert change.told == "cam0 is as the box's owner says again"
    assert change.camera is not None
    assert change.camera.source == "scene:?seed=7"
    config = box(tmp_path)
    assert config.camera["cam0"].source == "scene:?seed=7"
    with pytest.raises(Refused, match="only its owner takes it away"):
        set_cameras.remove(config, "cam0")
    with pytest.raises(Refused, match="no camera 'cam9'"):
        set_cameras.remove(config, "cam9")


def test_a_camera_that_stays_where_it_is_is_not_opened_a_second_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another model is taken without a look at the source: a device gives its pictures to one alone."""
    config = box(tmp_path)
    monkeypatch.setattr(set_cameras, "inspect", lambda *_: pytest.fail("the source was opened"))
    change = set_cameras.put(config, "cam0", '{"model": "mask"}')
    assert change.told == "cam0 keeps its source, and restarts in a moment"
    assert box(tmp_path).camera["cam0"].model == "mask"


@pytest.mark.parametrize("allow", ["", "[camera]\nallow_from_centre = false\n"])
def test_without_the_owners_word_nothing_counts(tmp_path: Path, allow: str) -> None:
    """Not what was set while it was allowed, and nothing new."""
    set_cameras.put(box(tmp_path), "cam1", '{"source": "scene:?seed=3"}')
    config = box(tmp_path, allow)
    assert list(config.camera) == ["cam0"]
    with pytest.raises(Refused, match="allow_from_centre = true"):
        set_cameras.put(config, "cam2", '{"source": "scene:"}')
    reports = [wire.CameraReport("cam0", "ok", 1)]
    assert set_cameras.told(config, reports) == reports
    assert set_cameras.allows(config) == []


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("cam1", '{"source": "/no/such/film.mp4"}', "no such file"),
        ("cam1", '{"source": "rtsp://anna:hunter2@127.0.0.1:9/x?key=abc"}', "connection refused"),
        ("cam1", '{"model": "traffic"}', "source"),
        ("cam1", '{"source": "scene:", "model": "nosuch"}', "nosuch"),
        ("cam1", '{"source": "scene:", "model": "/etc/passwd"}', "only its owner gives a path"),
        ("cam1", '{"source": "scene:", "preview": "unblurred"}', "not 'preview'"),
        ("cam1", '{"source": "scene:", "rtsp_out": "rtsp://evil/x"}', "not 'rtsp_out'"),
        ("cam1", '{"source": 7}', "source"),
        ("cam1", "[]", "cannot be read"),
        ("no/name", '{"source": "scene:"}', "cannot be read"),
    ],
)
def test_what_cannot_be_is_refused_without_secrets(tmp_path: Path, name: str, text: str, why: str) -> None:
    """The reason names neither the file nor the password, and nothing is kept."""
    config = box(tmp_path)
    with pytest.raises(Refused) as refusal:
        set_cameras.put(config, name, text)
    said = str(refusal.value)
    assert why in said.lower() or why in said
    for secret in ("film.mp4", "hunter2", "anna", "abc"):
        assert secret not in said
    assert not (tmp_path / centre_cameras.FILE).exists()


def test_where_a_camera_is_is_told_without_secrets(tmp_path: Path) -> None:
    """An address loses user, password and query; of a file not even the name is told."""
    place = film(tmp_path)
    set_cameras.put(box(tmp_path), "films", json.dumps({"source": str(place)}))
    assert (tmp_path / centre_cameras.FILE).stat().st_mode & 0o777 == 0o600
    config = box(tmp_path)
    told = set_cameras.told(config, [wire.CameraReport(name, "ok", 1) for name in ("cam0", "films")])
    assert [(one.source, one.from_centre) for one in told] == [
        ("scene:?seed=7", False),
        ("a file or folder of the box", True),
    ]
    assert set_cameras.allows(config) == ["cameras"]
    shown = centre_cameras.shown("rtsp://anna:hunter2@camera.lan:554/main?token=abc")
    assert shown == "rtsp://***@camera.lan:554/main?..."
    assert centre_cameras.shown("0") == "a camera of the box, /dev/video0"
    assert "film" not in centre_cameras.shown("file:///srv/film.mp4")


def test_the_switch_is_strict(tmp_path: Path) -> None:
    """Neither elsewhere nor anything but true or false; a damaged file of the state folder is named."""
    with pytest.raises(ConfigError, match=r"camera\.allow_from_centre: true or false"):
        box(tmp_path, '[camera]\nallow_from_centre = "yes"\n')
    with pytest.raises(ConfigError, match=r"below \[camera\]"):
        box(tmp_path, "allow_from_centre = true\n")
    with pytest.raises(ConfigError, match="owner: unknown table"):
        box(tmp_path, "owner = {}\n")
    (tmp_path / centre_cameras.FILE).write_text("{")
    with pytest.raises(ConfigError, match=r"cameras\.json"):
        box(tmp_path)
    assert list(box(tmp_path, "").camera) == ["cam0"]


def test_the_last_camera_stays_however_fast_they_are_taken_away(tmp_path: Path) -> None:
    """The second order comes before the first camera has closed; without a camera no box starts again."""
    three = {name: {"source": "scene:?seed=3"} for name in ("cam1", "cam2", "cam3")}
    centre_cameras.write(tmp_path, three)
    config = box(tmp_path, cameras="")
    set_cameras.remove(config, "cam1")
    set_cameras.remove(config, "cam2")
    with pytest.raises(Refused, match="only camera"):
        set_cameras.remove(config, "cam3")
    assert list(box(tmp_path, cameras="").camera) == ["cam3"]


def test_a_camera_that_was_just_added_can_be_taken_away(tmp_path: Path) -> None:
    """Before it runs: the box has another one."""
    config = box(tmp_path)
    set_cameras.put(config, "cam1", '{"source": "scene:?seed=3"}')
    assert set_cameras.remove(config, "cam1").camera is None
    assert list(box(tmp_path).camera) == ["cam0"]
