"""What a small board says of its own power and heat, from the files that the kernel offers.

What always holds: each file is optional; one that is not there, or cannot be read, says nothing. Nothing here
can stop the agent, and nothing is told that no file says.

| file below the root | who has it | says |
|---|---|---|
| `sys/devices/platform/soc/soc:firmware/get_throttled` | Raspberry Pi | bits, of now and of before |
| `sys/class/hwmon/hwmon*/in*_lcrit_alarm` | Raspberry Pi, Jetson | 1: under-voltage |
| `sys/class/hwmon/hwmon*/curr*_crit_alarm`, `curr*_max_alarm` | Jetson (`ina3221`) | 1: over-current |
| `sys/class/thermal/cooling_device*/type`, `cur_state` | any | a processor held down by heat: above 0 |
| `sys/class/thermal/thermal_zone*/temp`, `trip_point_*` | any | a zone at its `hot` or `critical` point |

The files are those of the kernel's own documentation: hwmon/sysfs-interface, driver-api/thermal/sysfs-api,
and of the Raspberry Pi's firmware driver.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")
_FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled"
_UNDER_VOLTAGE = 0x1
_HELD_DOWN = 0x2 | 0x4 | 0x8  # its clock is capped, throttled, or at the soft limit of heat
_UNDER_VOLTAGE_BEFORE = 0x10000
_PROCESSORS = (  # how the types of cooling devices begin that hold a clock down
    "cpufreq", "processor", "devfreq",
    "cpu-throttle", "cpu-balanced", "gpu-throttle", "gpu-balanced",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Board:
    """What a board says now.

    Attributes:
        throttled: its clock is held down.
        under_voltage: its supply is too weak.
        over_current: it takes more than its supply may give.
        was_under_voltage: its supply was too weak at some time since it was switched on.
        hot: zones at the temperature at which the kernel acts -> degrees Celsius.
    """

    throttled: bool = False
    under_voltage: bool = False
    over_current: bool = False
    was_under_voltage: bool = False
    hot: tuple[tuple[str, int], ...] = ()

    @property
    def warnings(self) -> list[str]:
        """Return what needs a person, a sentence each."""
        found = []
        if self.under_voltage:
            found.append("The board's supply voltage is too low: use a stronger supply and a shorter cable")
        elif self.was_under_voltage:
            found.append("The board's supply voltage was too low since it was switched on: check the supply")
        if self.over_current:
            found.append("The board draws more current than its supply allows: use a stronger supply")
        if self.throttled:
            found.append("The board holds its clock down, for heat or its supply: cool it")
        for zone, degrees in self.hot:
            found.append(f"The board's sensor {zone} is at {degrees} °C, where the kernel steps in: cool it")
        return found


def read(root: Path = ROOT) -> Board:
    """Return what the files below `root` say."""
    bits = number(root / _FIRMWARE, 16) or 0
    supply = [*each(root, "sys/class/hwmon/hwmon*/in*_lcrit_alarm")]
    current = [
        *each(root, "sys/class/hwmon/hwmon*/curr*_crit_alarm"),
        *each(root, "sys/class/hwmon/hwmon*/curr*_max_alarm"),
    ]
    return Board(
        throttled=bool(bits & _HELD_DOWN) or _is_held_down(root),
        under_voltage=bool(bits & _UNDER_VOLTAGE) or 1 in map(number, supply),
        over_current=1 in map(number, current),
        was_under_voltage=bool(bits & _UNDER_VOLTAGE_BEFORE),
        hot=tuple(_hot_zones(root)),
    )


def _is_held_down(root: Path) -> bool:
    """Tell whether the kernel holds a processor down to cool it."""
    for device in each(root, "sys/class/thermal/cooling_device*"):
        kind = text(device / "type").lower()
        if kind.startswith(_PROCESSORS) and (number(device / "cur_state") or 0) > 0:
            return True
    return False


def _hot_zones(root: Path) -> Iterator[tuple[str, int]]:
    """Iterate over the zones that have reached their `hot` or `critical` point."""
    for zone in each(root, "sys/class/thermal/thermal_zone*"):
        temperature = number(zone / "temp")
        if temperature is None:
            continue
        for kind in each(zone, "trip_point_*_type"):
            limit = number(kind.with_name(kind.name.replace("_type", "_temp")))
            if text(kind) in ("hot", "critical") and limit is not None and 0 < limit <= temperature:
                yield text(zone / "type") or zone.name, round(temperature / 1000)
                break


def each(root: Path, pattern: str) -> list[Path]:
    """Return the paths below a root that fit a pattern, in order; none where they may not be seen."""
    try:
        return sorted(root.glob(pattern))
    except OSError:
        return []


def text(path: Path) -> str:
    """Return a file's text; empty where it cannot be read."""
    try:
        return path.read_text().strip()[:64]
    except (OSError, ValueError):
        return ""


def number(path: Path, base: int = 10) -> int | None:
    """Return the whole number that a file says; None where it says none."""
    try:
        return int(text(path), base)
    except ValueError:
        return None
