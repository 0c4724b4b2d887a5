"""What the figures of `gb-agent bench` mean for a box: which model, how many workers, how many cameras.

What always holds: of models of the same task and input the first float one by name is advised, and another,
as int8, only where it is clearly faster and gives its stored answer here; models of another input are for
other views, so each input has its own advice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

FPS = 10  # at which cameras are counted
LOAD = 0.8  # of what was measured; the rest is the box's own
GAIN = 1.1  # so much faster another model must be to be advised


def advise(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the model and the workers for each task and input on this box; float unless int8 is worth it."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    right = (row for row in rows if row["right"])
    for row in sorted(right, key=lambda row: (row["precision"] == "int8", row["model"])):
        workers, rate = _best(row["frames_per_second"])
        place = row["task"], row["input"]
        held = found.get(place)
        if held is None or rate > held["frames_per_second"] * GAIN:
            found[place] = {
                "task": row["task"],
                "model": row["model"],
                "input": row["input"],
                "threads": 1,
                "workers": workers,
                "frames_per_second": rate,
                "cameras": int(rate * LOAD / FPS),
            }
    return list(found.values())


def _best(rates: dict[str, float]) -> tuple[int, float]:
    """Return the fewest workers that are about as fast as the fastest, and their rate."""
    most = max(rates.values())
    return next((int(count), rate) for count, rate in rates.items() if rate >= 0.95 * most)


def table(figures: dict[str, Any]) -> Iterator[str]:
    """Yield the lines that a person reads."""
    yield f"{figures['cores']} core(s) to use; a street of {figures['picture']}; median milliseconds a frame"
    yield f"decode {figures['decode_ms']:.2f}   spool {figures['spool_ms']:.2f} for a frame that has events"
    for row in figures["models"]:
        if row.get("error"):
            yield f"\n{row['model']}: {row['error']}"
            continue
        wrong = "" if row["right"] else "   WRONG ANSWERS on this CPU: do not use it"
        yield f"\n{row['model']}   {row['input']} {row['precision']}{wrong}"
        yield "  " + "   ".join(
            f"{name} {row[f'{name}_ms']:.2f}" for name in ("letterbox", "track", "analyse")
        )
        yield "  infer by threads:      " + _columns(row["infer_ms"], "ms")
        yield "  from file by workers:  " + _columns(row["frames_per_second"], "frames/s")
    yield ""
    for each in figures["advice"]:
        yield _sentence(each)


def _columns(values: dict[str, float], unit: str) -> str:
    return "   ".join(f"{count}: {value:.1f} {unit}" for count, value in values.items())


def _sentence(each: dict[str, Any]) -> str:
    task = f"{each['task']} {each['input']}"
    setting = f'model = "{each["model"]}", threads = {each["threads"]}, workers = {each["workers"]}'
    if not each["cameras"]:
        return (
            f"{task}: this box is too slow for a camera at {FPS} frames/s "
            f"({each['frames_per_second']:.1f} with {setting})"
        )
    return f"{task}: this box does {each['cameras']} camera(s) at {FPS} frames/s with {setting}"
