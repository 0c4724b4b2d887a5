"""A line chart as SVG, from plain templates: readable on light and on dark pages, and without colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

WIDTH = 760
HEIGHT = 380
LEFT = 48
TOP = 44
RIGHT = 200
BOTTOM = 36
COLOURS = ("#d6336c", "#1c7ed6", "#2b8a3e", "#e67700", "#7048e8", "#868e96")
DASHES = ("", "7 3", "2 3", "10 3 2 3", "4 4", "1 4")
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#343a40}.grid{stroke:#ced4da}"
    "@media(prefers-color-scheme:dark){text{fill:#dee2e6}.grid{stroke:#495057}}"
)


def chart(title: str, ticks: Sequence[str], lines: Mapping[str, Sequence[float]]) -> str:
    """Return a chart of some lines (name -> a percentage for each tick); the first is drawn thick."""
    every = [value for line in lines.values() for value in line]
    low = 10 * int(min(every, default=0) // 10)
    high = max(10 * -int(-max(every, default=100) // 10), low + 10)
    inner = WIDTH - LEFT - RIGHT
    tall = HEIGHT - TOP - BOTTOM

    def x(index: int) -> float:
        return LEFT + inner * index / max(len(ticks) - 1, 1)

    def y(value: float) -> float:
        return TOP + tall * (high - value) / (high - low)

    parts = [f'<text x="{LEFT}" y="24" style="font-weight:600">{escape(title)}</text>']
    for value in range(low, high + 1, 10):
        parts.append(f'<path class="grid" d="M{LEFT} {y(value):.1f}h{inner}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value}</text>')
    for index, tick in enumerate(ticks):
        place = f'x="{x(index):.1f}" y="{HEIGHT - 10}"'
        parts.append(f'<text {place} text-anchor="middle">{escape(tick)}</text>')
    labels = _apart([y(line[-1]) for line in lines.values()], TOP, HEIGHT - BOTTOM)
    for number, (name, line) in enumerate(lines.items()):
        points = [(x(index), y(value)) for index, value in enumerate(line)]
        parts += _line(number, name, points, (LEFT + inner + 12, labels[number]))
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">\n<style>{STYLE}</style>\n{body}\n</svg>\n'
    )


def _line(
    number: int, name: str, points: Sequence[tuple[float, float]], label: tuple[float, float]
) -> list[str]:
    """Return one line with its dots and its name, drawn from its end to the name."""
    colour = COLOURS[number % len(COLOURS)]
    dash = DASHES[number % len(DASHES)]
    way = "M" + "L".join(f"{one:.1f} {two:.1f}" for one, two in points)
    stroke = f'fill="none" stroke="{colour}" stroke-width="{3.5 if number == 0 else 1.8}"'
    dots = [f'<circle cx="{one:.1f}" cy="{two:.1f}" r="3" fill="{colour}"/>' for one, two in points]
    last = points[-1]
    return [
        f'<path d="{way}" {stroke} stroke-dasharray="{dash}"/>',
        *dots,
        f'<path d="M{last[0] + 4:.1f} {last[1]:.1f}L{label[0] - 2:.1f} {label[1]:.1f}" stroke="{colour}"/>',
        f'<text x="{label[0] + 2:.1f}" y="{label[1] + 4:.1f}">{escape(name)}</text>',
    ]


def _apart(places: Sequence[float], least: float, most: float) -> list[float]:
    """Return places moved so that labels at them do not overlap."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    moved = list(places)
    last = least - 16
    for index in order:
        moved[index] = last = max(places[index], last + 16)
    limit = most
    for index in reversed(order):
        moved[index] = limit = min(moved[index], limit)
        limit -= 16
    return moved
