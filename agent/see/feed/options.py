"""The numbers in a source's query, as in `scene:?seed=7`."""

from __future__ import annotations

import math
from urllib.parse import parse_qsl, urlsplit

from agent.see.feed.picture import SourceError


def numbers(url: str, defaults: dict[str, float]) -> dict[str, float]:
    """Return the numbers in the address's query; refuse what is unknown or no positive number."""
    values = dict(defaults)
    for name, text in parse_qsl(urlsplit(url).query, keep_blank_values=True):
        if name not in defaults:
            raise SourceError(f"unknown option {name!r} in the source; known: {', '.join(defaults)}")
        try:
            values[name] = float(text)
        except ValueError:
            raise SourceError(f"option {name}={text!r} of the source is no number") from None
        if not math.isfinite(values[name]) or (values[name] <= 0 and name != "seed"):
            raise SourceError(f"option {name}={text!r} of the source must be more than 0")
    return values
