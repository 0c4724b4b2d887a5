"""Where the figures of a benchmark go beside the terminal: the file that BENCH_JSON names."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def leave(figures: Mapping[str, Any], *, beside: bool = False) -> None:
    """Write figures by name as JSON where BENCH_JSON names a file; `beside` what stands there already."""
    target = os.environ.get("BENCH_JSON")
    if not target:
        return
    path = Path(target)
    before = json.loads(path.read_text(encoding="utf-8")) if beside and path.exists() else {}
    path.write_text(json.dumps({**before, **figures}, indent=1) + "\n", encoding="utf-8")
