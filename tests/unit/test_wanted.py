"""Settings put together and taken apart, and the hours of profiles."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest

from agent import wire
from agent.command import KNOWS, Desired
from aggregator.wanted import merge
from aggregator.wanted.profiles import Hours

LINE = wire.Line([(0.0, 0.5), (1.0, 0.5)], version=3)
CAMERA = wire.CameraSettings(0.3, ["car"], {"a.b": LINE, "c": LINE}, {}, None)


def test_what_does_not_change_keeps_its_version() -> None:
    """A line that stays as it was goes on counting; one that is moved or new has the new version."""
    lines = {
        "a.b": {"points": [[0, 0.5], [1, 0.5]]},
        "c": {"points": [[0, 0.6], [1, 0.6]]},
        "d": {"points": [[0, 0], [1, 1]]},
    }
    after = merge.whole(CAMERA, {"lines": lines}, 9)
    assert {name: line.version for name, line in after.lines.items()} == {"a.b": 3, "c": 9, "d": 9}
    assert (after.confidence, after.labels) == (0.25, [])
    assert merge.merged(CAMERA, {"confidence": 0.5}, 9) == msgspec.structs.replace(CAMERA, confidence=0.5)


def test_a_difference_names_each_path_and_no_version() -> None:
    """Names with dots stand as they are; what is only renumbered is no difference."""
    moved = wire.Line([(0.0, 0.6), (1.0, 0.6)])
    after = msgspec.structs.replace(CAMERA, lines={"a.b": moved, "c": wire.Line(LINE.points)}, confidence=0.4)
    found = merge.differences(CAMERA, after)
    assert [row.path for row in found] == ["confidence", "lines.a.b"]
    assert (found[0].before, found[0].after) == ("0.3", "0.4")
    assert merge.differences(CAMERA, CAMERA) == []
    gone = merge.differences(CAMERA, msgspec.structs.replace(CAMERA, lines={"c": LINE}))
    assert [(row.path, row.after) for row in gone] == [("lines.a.b", "")]


def test_a_privacy_zone_is_a_difference_too() -> None:
    """It is points alone, without a version: it appears, changes and goes by its own path."""
    points = [(0.1, 0.1), (0.4, 0.1), (0.4, 0.5)]
    after = merge.whole(CAMERA, {**msgspec.to_builtins(CAMERA), "privacy": {"door": points}}, 0)
    (found,) = merge.differences(CAMERA, after)
    assert (found.path, found.before, found.after) == ("privacy.door", "", "[[0.1,0.1],[0.4,0.1],[0.4,0.5]]")
    assert merge.differences(after, after) == []


@pytest.mark.parametrize("settings", [{"confidence": 2}, {"colour": 1}, {"lines": {"x": {"points": []}}},
                                      {"model": 7}, {"budget": 0}])  # fmt: skip
def test_settings_that_make_no_sense_are_named(settings: dict[str, object]) -> None:
    """The words say which setting it is."""
    with pytest.raises(merge.SettingsError, match=next(iter(settings))):
        merge.check(settings)


def test_a_profile_comes_and_goes_without_new_versions_of_the_base() -> None:
    """Night and back: the base's lines count on; the profile's line has one version for all nights."""
    base = wire.Document(5, {"cam0": CAMERA})
    night = {"lines": {"n": {"points": [[0, 0.1], [1, 0.1]]}}, "confidence": 0.6}
    first = merge.overlaid(wire.Document(6, base.cameras), night, base)
    assert {name: line.version for name, line in first.cameras["cam0"].lines.items()} == {"n": 6}
    second = merge.overlaid(wire.Document(8, base.cameras), night, first)
    assert second.cameras == first.cameras
    kept = merge.overlaid(wire.Document(9, base.cameras), {"confidence": 0.6}, second)
    assert kept.cameras["cam0"].lines == CAMERA.lines


def test_an_older_node_is_sent_only_what_it_knows() -> None:
    """A node of version 0.3 gets no key for which it would refuse the whole; what is left out is told."""
    camera = msgspec.structs.replace(CAMERA, budget=0.5, model="mask")
    document = wire.Document(4, {"cam.0": camera})
    sent, left = merge.understood(document, [])
    assert wire.decode_document(sent).cameras["cam.0"] == CAMERA
    assert set(left) == {"cam.0.budget", "cam.0.model"}
    assert merge.understood(document, KNOWS) == (msgspec.json.encode(document), {})
    assert merge.understood(wire.Document(4, {"x": CAMERA}), [])[1] == {}


def test_a_node_says_what_it_knows_and_what_has_no_effect() -> None:
    """What an agent understands and does not do is in its report with the reason; the rest runs."""
    desired = Desired(wire.Document(0, {"cam0": CAMERA}), None, {"cam0": ["car"]})
    assert desired.report().knows == KNOWS
    assert desired.report().refused == {}
    camera = msgspec.structs.replace(CAMERA, confidence=0.7, budget=0.5)
    ungated = Desired(wire.Document(0, {"cam0": CAMERA}), None, {"cam0": ["car"]}, ["cam0"])
    for each in (desired, ungated):
        assert each.want(msgspec.json.encode(wire.Document(1, {"cam0": camera})))
    assert desired.report().refused == {}
    assert list(ungated.report().refused) == ["cam0.budget"]
    assert desired.settings("cam0").confidence == 0.7
    older = wire.decode_state(b'{"node":"x-1","online":true,"at":1,"config":{"applied":2,"error":""}}')
    assert (older.config.knows, older.config.refused) == ([], {})


@pytest.mark.parametrize(
    ("since", "until", "days", "held"),
    [
        ("08:00", "10:00", [], "sat 08:00, sat 09:59"),
        ("22:00", "06:00", [], "sat 22:00, sun 00:00, sun 05:59, sun 22:00"),
        ("22:00", "06:00", ["sat"], "sat 22:00, sun 00:00, sun 05:59"),
        ("22:00", "06:00", ["sun"], "sun 22:00"),
        ("00:00", "00:00", ["sun"], "sun 00:00, sun 05:59, sun 22:00"),
        ("12:00", "12:00", ["sat"], "sat 08:00, sat 09:59, sat 10:00, sat 22:00"),
    ],
)  # fmt: skip
def test_hours_by_the_clock(since: str, until: str, days: list[str], held: str) -> None:
    """Past midnight they belong to the day on which they began; alike is the whole day."""
    hours = msgspec.convert({"from": since, "to": until, "days": days}, Hours)
    moments = ["sat 08:00", "sat 09:59", "sat 10:00", "sat 22:00", "sun 00:00", "sun 05:59", "sun 22:00"]
    found = []
    for text in moments:
        day, clock = text.split()
        at = datetime(2026, 11, 28 + (day == "sun"), *map(int, clock.split(":")), tzinfo=ZoneInfo("UTC"))
        if hours.hold(at):
            found.append(text)
    assert ", ".join(found) == held


def test_hours_follow_the_wall_clock_over_the_change_of_summer_time() -> None:
    """On the night with 25 hours 02:00 to 03:00 holds for two hours, as the clock on the wall shows."""
    zone = ZoneInfo("Europe/Berlin")
    hours = msgspec.convert({"from": "02:00", "to": "03:00"}, Hours)
    start = datetime(2026, 10, 24, 22, tzinfo=ZoneInfo("UTC"))
    held = [n for n in range(0, 25 * 60, 10) if hours.hold((start + timedelta(minutes=n)).astimezone(zone))]
    assert len(held) == 12
