"""What leaves a box shows no face: zones, covered boxes, coarse parts, the picture that shows nobody."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from agent import config
from agent.boxes import Detections
from agent.preview import picture
from agent.see.infer import Detector, InferenceError
from agent.show import faces, nobody
from agent.show.cover import black_out
from agent.show.departures import Departures
from agent.show.faces import Faces, Heads
from agent.show.privacy import Privacy, shrink
from tests.yunet import YuNet

NONE = Detections.empty()
LOOK = Faces(config.PrivacyConfig().model_path)
PEOPLE = {0: "person", 1: "car"}


def nothing(_image: np.ndarray) -> Detections:
    """Find no face."""
    return NONE


def noise(height: int = 90, width: int = 160, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(60, 200, (height, width, 3), dtype=np.uint8)


def left_over(judge: YuNet, pictures: list[np.ndarray], privacy: Privacy, detector: Detector) -> list[int]:
    """Return how many faces a judge finds before, and in what leaves as a JPEG."""
    found = [0, 0]
    for number, image in enumerate(pictures):
        found[0] += judge.faces(shrink(image))
        jpeg = picture(privacy.clear(image, detector.detect(image), number / 5))
        found[1] += judge.faces(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR))
    return found


@pytest.mark.parametrize("model", ["traffic", "mask"])
def test_no_more_than_two_in_a_hundred_faces_are_left(data: Path, judge: YuNet, model: str) -> None:
    """Of pictures of crowds and portraits, whichever model the camera has, another detector finds no face."""
    paths = sorted((data / "masks" / "val" / "images").iterdir())
    pictures = [cv2.imread(str(path)) for path in paths[:: len(paths) // 40]]
    detector = Detector(config.CameraConfig(source="x", model=model).model_path, 0.1)
    before, after = left_over(judge, pictures, Privacy("blurred", [], detector.names, LOOK), detector)
    assert before > 80
    assert after <= 0.02 * before


def test_people_who_pass_indoors_show_no_face_against_a_known_background(data: Path, judge: YuNet) -> None:
    """Where the background is known and sharp, whoever passes is coarse and covered all the same."""
    clip = cv2.VideoCapture(str(data / "videos" / "intel_one-by-one-person-detection.mp4"))
    detector = Detector(config.CameraConfig(source="x").model_path, 0.1)
    frames = [clip.read()[1] for _ in range(300)]
    privacy = Privacy("blurred", [], detector.names, LOOK)
    for number, frame in enumerate(frames[::20]):
        privacy.clear(frame, NONE, number * nobody.EVERY_SECONDS)
    assert privacy.nobody.picture is not None
    shown = frames[::10]
    before = sum(judge.faces(shrink(frame)) for frame in shown)
    after = 0
    for number, frame in enumerate(shown):
        safe = privacy.clear(frame, detector.detect(frame), 60 + number / 6)
        after += judge.faces(safe)
    assert after <= 0.02 * before
    empty = privacy.empty()
    assert empty is not None
    assert judge.faces(empty) == 0


def test_zones_are_black_before_anything_looks_at_the_picture() -> None:
    """The face finder gets a picture that is black there already; what leaves is black, even unblurred."""
    seen: list[np.ndarray] = []

    def look(image: np.ndarray) -> Detections:
        seen.append(image.copy())
        return NONE

    corner = [(0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5)]
    other = [(0.4, 0.4), (0.9, 0.4), (0.9, 0.9), (0.4, 0.9)]  # overlaps the first: no hole where both are
    for manner in ("blurred", "unblurred", "drawn"):
        privacy = Privacy(manner, [corner], PEOPLE, look)  # type: ignore[arg-type]
        privacy.add_zones([other])
        safe = privacy.clear(noise(), NONE, 0.0)
        assert not safe[:45, :80].any()
        assert not safe[36:81, 64:144].any()
        assert safe[85:, 150:].any()
    assert len(seen) == 1
    assert not seen[0][:45, :80].any()


def test_a_zone_that_crosses_itself_has_no_hole() -> None:
    """A star drawn in one go is black in its middle too, and on its outline; beside it the picture stays."""
    star = [(0.5, 0.05), (0.2, 0.95), (0.95, 0.4), (0.05, 0.4), (0.8, 0.95)]
    privacy = Privacy("unblurred", [star], PEOPLE, lambda image: NONE)
    safe = privacy.clear(noise(), NONE, 0.0)
    height, width = safe.shape[:2]
    assert not safe[height // 2 - 5 : height // 2 + 5, width // 2 - 5 : width // 2 + 5].any()
    assert not safe[round(0.4 * height), round(0.1 * width) : round(0.9 * width)].any()
    assert safe[: height // 4, : width // 4].any()


def test_the_centre_adds_zones_and_never_takes_the_owners_away() -> None:
    """Whatever document comes, the owner's polygon stays."""
    owner = [(0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5)]
    privacy = Privacy("unblurred", [owner], PEOPLE, nothing)
    privacy.add_zones([[(0.8, 0.8), (1.0, 0.8), (1.0, 1.0), (0.8, 1.0)]])
    privacy.add_zones([])
    assert privacy.zones == [owner]
    assert not privacy.clear(noise(), NONE, 0.0)[:44, :79].any()


def test_the_frame_that_is_counted_on_is_not_touched() -> None:
    """Blackening and covering work on copies, also where the frame is small already."""
    frame = noise()
    before = frame.copy()
    privacy = Privacy("blurred", [[(0.0, 0.0), (0.5, 0.0), (0.5, 0.5)]], PEOPLE, nothing)
    privacy.clear(frame, NONE, 0.0)
    Privacy("unblurred", [], PEOPLE, nothing).clear(frame, NONE, 0.0)[:] = 0
    assert (frame == before).all()
    assert black_out(frame, []) is frame


def test_of_a_person_the_upper_third_is_covered_and_of_a_car_nothing() -> None:
    """Where the model knows no faces, the head is where people have it."""
    heads = Heads(PEOPLE, nothing)
    found = Detections(np.array([[10, 30, 40, 90], [0, 0, 9, 9]]), np.array([0.1, 0.9]), np.array([0, 1]))
    np.testing.assert_allclose(heads.of(found), [[10, 24, 40, 50]])


def test_a_mask_model_covers_the_whole_face_and_a_little_more() -> None:
    """Every class that names a face, a head or a mask counts."""
    heads = Heads({0: "with_mask", 1: "without-mask", 2: "Face", 3: "Helmets", 4: "bus"}, nothing)
    boxes = np.tile(np.array([[100, 100, 200, 200]], np.float32), (5, 1))
    covered = heads.of(Detections(boxes, np.full(5, 0.3), np.arange(5)))
    np.testing.assert_allclose(covered, [[70, 70, 230, 230]] * 4)


def test_a_box_stays_covered_while_the_detector_misses_it() -> None:
    """For a second and a half after a face was seen its place is covered, growing; then no more."""
    answers = [Detections(np.array([[40, 40, 60, 60]]), np.array([0.9]), np.array([0])), NONE, NONE, NONE]
    heads = Heads(PEOPLE, lambda _image: answers.pop(0))
    one = np.ones(4, np.float32)
    widths = []
    for seconds in (0.0, 0.7, 1.4, 1.6):
        boxes = heads.find(noise(100, 100), NONE, one, seconds)
        widths.append(float(boxes[0, 2] - boxes[0, 0]) if len(boxes) else 0.0)
    assert widths[0] == pytest.approx(32)
    assert widths[0] < widths[1] < widths[2]
    assert widths[3] == 0.0


def test_what_no_model_has_found_is_coarse() -> None:
    """Against a known background the still part stays sharp, and whatever is new keeps no detail."""
    privacy = Privacy("blurred", [], PEOPLE, nothing)
    street = noise(360, 640)
    assert not np.array_equal(privacy.clear(street, NONE, 0.0), street)  # nothing is known yet: all coarse
    for number in range(1, nobody.SAMPLES + 1):
        privacy.clear(street, NONE, number * nobody.EVERY_SECONDS)
    visited = street.copy()
    visited[100:200, 300:360] = noise(100, 60, seed=2)
    safe = privacy.clear(visited, NONE, 62.0)
    assert np.array_equal(safe[:, :200], street[:, :200])
    part = safe[100:200, 300:360]
    assert len(np.unique(part.reshape(-1, 3), axis=0)) <= 11 * 7 + 20  # ten pixels a field


def test_the_picture_that_shows_nobody_has_who_passes_taken_out() -> None:
    """The median of a minute keeps the street, though somebody stood in a third of the pictures."""
    street = noise()
    collected = nobody.Nobody()
    for number in range(nobody.SAMPLES):
        image = street.copy()
        if number % 3 == 0:
            image[20:60, 40:60] = 255
        renewed = collected.add(image, number * nobody.EVERY_SECONDS)
    assert renewed
    assert collected.picture is not None
    assert np.array_equal(collected.picture, street)


def test_the_background_is_forgotten_after_a_pause_or_a_new_size() -> None:
    """What the camera showed before nobody watched is not taken for what it shows now."""
    collected = nobody.Nobody()
    for number in range(nobody.SAMPLES):
        collected.add(noise(), number * nobody.EVERY_SECONDS)
    assert collected.picture is not None
    collected.add(noise(), 60 + nobody.FORGET_SECONDS)
    assert collected.picture is None
    assert collected.wait_seconds == (nobody.SAMPLES - 1) * nobody.EVERY_SECONDS


def test_a_face_model_that_cannot_be_used_lets_nothing_leave(tmp_path: Path) -> None:
    """A picture in which faces cannot be looked for is an error, not a sharp picture."""
    privacy = Privacy("blurred", [], PEOPLE, faces.Faces(tmp_path / "absent.onnx"))
    with pytest.raises(InferenceError, match=r"faces cannot be looked for: .*no such model file"):
        privacy.clear(noise(), NONE, 0.0)


def test_each_picture_is_in_the_log_and_a_kill_loses_no_entry(tmp_path: Path) -> None:
    """Who asked, how, when and how many: on disk with the first picture, merged, apart by who asks."""
    path = tmp_path / "pictures.json"
    told: list[int] = []
    log = Departures(path, lambda: told.append(1))
    for number in range(5):
        log.left("cam0", "preview", "ada", "operator", "blurred", 1_000_000 + number * 200)
    log.left("cam0", "preview", "bob", "admin", "blurred", 1_001_000)
    after_a_kill = Departures(path)
    assert [(entry.who, entry.way) for entry in after_a_kill.entries()] == [
        ("ada", "preview"),
        ("bob", "preview"),
    ]
    log.left("cam0", "preview", "ada", "operator", "blurred", 1_100_000)  # a pause: another entry
    log.close()
    assert [(entry.who, entry.pictures) for entry in Departures(path).entries()] == [
        ("ada", 5),
        ("bob", 1),
        ("ada", 1),
    ]
    assert told


def test_a_damaged_log_of_pictures_begins_anew(tmp_path: Path) -> None:
    """It is told, and nothing ends."""
    path = tmp_path / "pictures.json"
    path.write_bytes(b'[{"start":')
    log = Departures(path)
    log.left("cam0", "page", "", "owner", "drawn", 5)
    assert [entry.pictures for entry in Departures(path).entries()] == [1]


def test_the_owners_word_decides_how_pictures_leave() -> None:
    """Blurred unless the owner says otherwise; a camera or a recording that is "off" sends none."""
    manners = {
        ("rtsp://camera/1", "blurred"): (True, "blurred"),
        ("rtsp://camera/1", "off"): (False, "blurred"),
        ("rtsp://camera/1", "unblurred"): (True, "unblurred"),
        ("film.mp4", "blurred"): (True, "blurred"),
        ("film.mp4", "off"): (False, "blurred"),
        ("scene:?seed=7", "off"): (False, "drawn"),
        ("film.mp4", "unblurred"): (True, "unblurred"),
        ("scene:?seed=7", "unblurred"): (True, "drawn"),
    }
    for (source, preview), expected in manners.items():
        camera = config.CameraConfig(source=source, preview=preview)  # type: ignore[arg-type]
        assert (camera.pictures_may_leave, camera.manner) == expected
    assert config.CameraConfig(source="0").preview == "blurred"


def test_the_owners_zones_are_not_in_the_document(tmp_path: Path) -> None:
    """What the centre may replace does not hold them, so nothing that it sends can take them away."""
    path = tmp_path / "agent.toml"
    path.write_text(
        'node = "box-1"\n[camera.cam0]\nsource = "0"\n'
        "[camera.cam0.privacy]\ndoor = [[0.0, 0.0], [0.5, 0.0], [0.5, 0.5]]\n"
    )
    loaded = config.load(path)
    assert loaded.camera["cam0"].privacy["door"] == [(0.0, 0.0), (0.5, 0.0), (0.5, 0.5)]
    assert loaded.document().cameras["cam0"].privacy == {}
