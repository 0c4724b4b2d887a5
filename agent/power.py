"""How much power the box takes, and how much energy a count, where the board tells.

What always holds: each file is optional; one that is not there, or cannot be read, says nothing, and nothing
here can stop the agent. What a sensor beside the supply says goes before what the processor says of itself.

| file below the root | who has it | says |
|---|---|---|
| `sys/class/hwmon/hwmon*/name`: `ina…`, `power1_input` | INA219, INA226, INA260 … | microwatts |
| `…/name`: `ina3221`, `in*_input`, `curr*_input`, `in*_label` | Jetson | millivolts, milliamperes |
| `sys/class/powercap/intel-rapl:*/energy_uj` | Intel, AMD: the processor alone | microjoules |

An `ina3221` with a channel `VDD_IN` tells the whole board there; else its channels are added. Sources: the
kernel's hwmon/ina2xx, hwmon/ina3221 and power/powercap.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agent import wire
from agent.board import ROOT, each, number, text

Part = Literal["board", "processor"]
WHOLE = ("VDD_IN", "POM_5V_IN")  # labels of the channel before all others
CHANNELS = range(1, 4)


@dataclass(slots=True)
class Power:
    """Watts of now, of the `part` that is told of, and joules since the first sample. None: nothing tells."""

    root: Path = ROOT
    part: Part = "board"
    watts: float | None = None
    joules: float = 0.0
    _before: tuple[float, dict[str, int]] | None = None  # seconds; RAPL's counters then

    def sample(self, now: float) -> None:
        """Read the board's files at `now`, monotonic seconds."""
        counters = _energies(self.root)
        seconds, before = self._before or (now, {})
        self._before = (now, counters)
        passed = now - seconds
        self.watts = _board_watts(self.root)
        self.part = "board"
        if self.watts is None and passed > 0 and counters.keys() & before.keys():
            self.watts = _grown(self.root, before, counters) / 1e6 / passed
            self.part = "processor"
        self.joules += (self.watts or 0.0) * passed

    def told(self, crossings: int) -> wire.Power | None:
        """Return what is told of it, with the joules for each of the crossings since the start."""
        if self.watts is None:
            return None
        per_count = round(10 * self.joules / crossings) if crossings else None
        return wire.Power(round(self.watts * 1000), self.part == "board", per_count)


def _board_watts(root: Path) -> float | None:
    """Return what sensors beside the supply say, None where there are none that can be read."""
    found: list[float] = []
    for sensor in each(root, "sys/class/hwmon/hwmon*"):
        if not text(sensor / "name").startswith("ina"):
            continue
        said = number(sensor / "power1_input")
        found += [said / 1e6] if said is not None else _channels(sensor)
    return sum(found) if found else None


def _channels(sensor: Path) -> list[float]:
    """Return the watts of each channel of an ina3221, or of the one before all others."""
    watts: dict[str, float] = {}
    for channel in CHANNELS:
        millivolts = number(sensor / f"in{channel}_input")
        milliamperes = number(sensor / f"curr{channel}_input")
        if millivolts is not None and milliamperes is not None:
            watts[text(sensor / f"in{channel}_label") or str(channel)] = millivolts * milliamperes / 1e6
    whole = [watts[label] for label in WHOLE if label in watts]
    return whole[:1] or list(watts.values())


def _energies(root: Path) -> dict[str, int]:
    """Return the counters of the processor's packages, microjoules; parts of a package are in it already."""
    found = {zone.name: number(zone / "energy_uj") for zone in each(root, "sys/class/powercap/intel-rapl:*")}
    return {name: value for name, value in found.items() if value is not None and name.count(":") == 1}


def _grown(root: Path, before: dict[str, int], now: dict[str, int]) -> int:
    """Return by how much counters have grown together, microjoules; each begins anew at its range."""
    grown = 0
    for name in now.keys() & before.keys():
        step = now[name] - before[name]
        if step < 0:
            step += number(root / "sys/class/powercap" / name / "max_energy_range_uj") or -step
        grown += step
    return grown
