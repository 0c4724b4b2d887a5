"""What small boards say of their power and heat, from files as their kernels offer them."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import board

FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled"


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("bits", "throttled", "weak", "was_weak"),
    [
        ("0", False, False, False),
        ("50005", True, True, True),  # under-voltage and throttled, now and before
        ("50000", False, False, True),  # both before, neither now
        ("8", True, False, False),  # the soft limit of heat
        ("0x2", True, False, False),  # the clock is capped
    ],
)
def test_a_raspberry_pi_tells(tmp_path: Path, bits: str, throttled: bool, weak: bool, was_weak: bool) -> None:
    """Each bit of its firmware is read as its documentation says."""
    write(tmp_path, {FIRMWARE: f"{bits}\n"})
    found = board.read(tmp_path)
    assert (found.throttled, found.under_voltage, found.was_under_voltage) == (throttled, weak, was_weak)
    assert any("voltage" in text for text in found.warnings) == (weak or was_weak)


def test_a_raspberry_pi_without_that_file_tells_its_supply_by_hwmon(tmp_path: Path) -> None:
    """Newer kernels have `rpi_volt` beside it."""
    alarm = "sys/class/hwmon/hwmon1/in0_lcrit_alarm"
    write(tmp_path, {"sys/class/hwmon/hwmon1/name": "rpi_volt\n", alarm: "1\n"})
    assert board.read(tmp_path).under_voltage
    write(tmp_path, {alarm: "0\n"})
    assert board.read(tmp_path) == board.Board()


def test_a_jetson_tells(tmp_path: Path) -> None:
    """Over-current, a clock that is held down for heat, and a zone at the point where the kernel acts."""
    zone = "sys/class/thermal/thermal_zone0"
    write(tmp_path, {
        "sys/class/hwmon/hwmon3/curr1_crit_alarm": "1\n",
        "sys/class/thermal/cooling_device0/type": "pwm-fan\n",
        "sys/class/thermal/cooling_device0/cur_state": "3\n",
        "sys/class/thermal/cooling_device2/type": "cpufreq-cpu0\n",
        "sys/class/thermal/cooling_device2/cur_state": "2\n",
        f"{zone}/type": "tj-thermal\n",
        f"{zone}/temp": "99500\n",
        f"{zone}/trip_point_0_type": "passive\n",
        f"{zone}/trip_point_0_temp": "97000\n",
        f"{zone}/trip_point_1_type": "hot\n",
        f"{zone}/trip_point_1_temp": "99000\n",
    })  # fmt: skip
    found = board.read(tmp_path)
    assert found.throttled
    assert found.over_current
    assert not found.under_voltage
    assert found.hot == (("tj-thermal", 100),)
    assert len(found.warnings) == 3


def test_a_fan_that_turns_holds_no_clock_down(tmp_path: Path) -> None:
    """Only what cools by a lower clock is throttling."""
    fan = "sys/class/thermal/cooling_device0"
    write(tmp_path, {f"{fan}/type": "pwm-fan\n", f"{fan}/cur_state": "4\n"})
    assert board.read(tmp_path) == board.Board()


@pytest.mark.parametrize("text", ["", "none\n", "\x00\x00", "1 2"])
def test_what_cannot_be_read_says_nothing(tmp_path: Path, text: str) -> None:
    """No file, an odd one, or a folder in its place: never an error."""
    assert board.read(tmp_path / "nothing") == board.Board()
    write(tmp_path, {FIRMWARE: text, "sys/class/thermal/thermal_zone0/temp": text})
    (tmp_path / "sys/class/hwmon/hwmon0/in1_lcrit_alarm").mkdir(parents=True)
    assert board.read(tmp_path) == board.Board()


def test_bytes_that_are_no_text_say_nothing(tmp_path: Path) -> None:
    """A file that is no UTF-8 is one that cannot be read."""
    write(tmp_path, {FIRMWARE: ""})
    (tmp_path / FIRMWARE).write_bytes(b"\xff\xfe5")
    assert board.read(tmp_path) == board.Board()
