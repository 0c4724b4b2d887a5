"""How much power a box takes, by copies of the files that kernels offer; what says nothing stops nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import wire
from agent.power import Power


def put(root: Path, files: dict[str, str]) -> None:
    """Write files below a root."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")


RAPL = "sys/class/powercap/intel-rapl:0"


def test_rapl_tells_the_processors_watts_and_joules(tmp_path: Path) -> None:
    """Two packages are added, parts of one are not; a counter that begins anew has not gone back."""
    second = "sys/class/powercap/intel-rapl:1"
    core = "sys/class/powercap/intel-rapl:0:0"
    ranges = {f"{zone}/max_energy_range_uj": "262143000000" for zone in (RAPL, second)}
    put(tmp_path, {f"{RAPL}/energy_uj": "262142000000", f"{second}/energy_uj": "5000000", **ranges})
    put(tmp_path, {f"{core}/energy_uj": "1"})
    power = Power(tmp_path)
    power.sample(100.0)
    assert power.watts is None
    assert power.told(3) is None
    put(
        tmp_path,
        {f"{RAPL}/energy_uj": "19000000", f"{second}/energy_uj": "25000000", f"{core}/energy_uj": "9"},
    )
    power.sample(110.0)
    assert power.part == "processor"
    assert power.watts == pytest.approx((20 + 20) / 10)
    assert power.told(4) == wire.Power(4000, False, 100)
    assert power.told(0) == wire.Power(4000, False, None)


def test_a_jetsons_input_is_the_board_and_goes_before_rapl(tmp_path: Path) -> None:
    """Of an ina3221 the channel before all others counts; it is 5 V at 2.4 A, 12 W."""
    sensor = "sys/class/hwmon/hwmon3"
    put(tmp_path, {f"{RAPL}/energy_uj": "1000", f"{sensor}/name": "ina3221"})
    for channel, (label, volts, amperes) in enumerate(
        [("VDD_IN", "5000", "2400"), ("VDD_CPU", "5000", "800"), ("VDD_SOC", "5000", "400")], 1
    ):
        put(
            tmp_path,
            {
                f"{sensor}/in{channel}_label": label,
                f"{sensor}/in{channel}_input": volts,
                f"{sensor}/curr{channel}_input": amperes,
            },
        )
    power = Power(tmp_path)
    power.sample(0.0)
    power.sample(10.0)
    told = power.told(6)
    assert told == wire.Power(12_000, True, 200)
    assert (told.watts, told.part, told.joules_per_count) == (12.0, "board", 20.0)


def test_an_ina_that_tells_watts_is_taken_at_its_word(tmp_path: Path) -> None:
    """An ina226 says microwatts; other sensors of the board are no supply."""
    put(tmp_path, {"sys/class/hwmon/hwmon0/name": "ina226", "sys/class/hwmon/hwmon0/power1_input": "3250000"})
    put(tmp_path, {"sys/class/hwmon/hwmon1/name": "nvme", "sys/class/hwmon/hwmon1/power1_input": "9000000"})
    power = Power(tmp_path)
    power.sample(0.0)
    assert (power.watts, power.part) == (3.25, "board")


@pytest.mark.parametrize("content", ["", "no number", "-"])
def test_what_says_nothing_is_nothing(tmp_path: Path, content: str) -> None:
    """No file, an empty one, or one that holds no number: no watts, and no error."""
    power = Power(tmp_path)
    power.sample(0.0)
    put(tmp_path, {f"{RAPL}/energy_uj": content, "sys/class/hwmon/hwmon0/name": "ina219"})
    put(tmp_path, {"sys/class/hwmon/hwmon0/power1_input": content})
    power.sample(10.0)
    power.sample(20.0)
    assert (power.watts, power.told(1)) == (None, None)
