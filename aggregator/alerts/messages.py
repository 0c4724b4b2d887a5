"""What people and programs are told of an alert, in words and as JSON. What boxes say is only ever text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from aggregator.alerts.book import Alert, Part, Telling

_LINES = 20  # places in words
_PARTS = 100  # places as JSON
_WORDS = {
    "opened": "",
    "more": "More: ",
    "worse": "Worse: ",
    "reminder": "Still: ",
    "closed": "Over: ",
    "test": "Test: ",
}


def title(alert: Alert, what: str) -> str:
    """Return a message's one line."""
    parts = alert.parts
    about = parts[0].text if len(parts) == 1 else f"{len(parts)} places"
    return f"{_WORDS[what]}{alert.name}: {about}"


def body(alert: Alert, what: str) -> str:
    """Return the lines below the title: the places, those that are not clear first."""
    shown = _shown(alert)
    lines = [part.text + (" (over)" if part.until else "") for part in shown[:_LINES]]
    if len(shown) > _LINES:
        lines.append(f"and {len(shown) - _LINES} more")
    return "\n".join(lines)


def payload(telling: Telling, at: int) -> dict[str, Any]:
    """Return a message as programs get it. `at`: Unix ms."""
    alert = telling.alert
    parts = [
        {"node": part.node, "camera": part.camera, "gate": part.gate, "text": part.text,
         "since": part.since, "until": part.until or None}
        for part in _shown(alert)[:_PARTS]
    ]  # fmt: skip
    return {
        "type": f"alert.{telling.what}",
        "timestamp": datetime.fromtimestamp(at / 1000, UTC).isoformat().replace("+00:00", "Z"),
        "data": {
            "alert": alert.id,
            "rule": {"id": alert.rule, "name": alert.name, "kind": alert.kind},
            "severity": alert.severity,
            "state": alert.state,
            "opened": alert.opened,
            "closed": alert.closed or None,
            "title": title(alert, telling.what),
            "text": body(alert, telling.what),
            "count": len(alert.parts),
            "standing": len(alert.standing),
            "places": parts,
        },
    }


def document(telling: Telling, outlet: str, at: int) -> dict[str, Any]:
    """Return a message as it is kept until it is sent; its id is the same however often it is made."""
    alert = telling.alert
    return {
        "id": f"{alert.id}:{telling.number}:{outlet}",
        "alert": alert.id, "what": telling.what, "outlet": outlet, "made": at, "due": at, "attempts": 0,
        "error": "", "payload": msgspec.json.encode(payload(telling, at)).decode(),
    }  # fmt: skip


def _shown(alert: Alert) -> Sequence[Part]:
    return sorted(alert.parts, key=lambda part: (part.until > 0, part.place))
