"""What the demo's terminal is told of the cameras, as the centre shows them."""

from __future__ import annotations

import http.client
import json
import sys
import urllib.error
import urllib.request
from typing import Any


def fleet(port: int, token: str) -> list[dict[str, Any]]:
    """Return the nodes as the centre shows them; none while it does not answer."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1/fleet", headers={"Authorization": f"Bearer {token}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=2) as answer:
            return list(json.load(answer)["nodes"])
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError):
        return []


class Cameras:
    """What the terminal is told of the cameras: each change, once."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], str] = {}

    def tell(self, nodes: list[dict[str, Any]]) -> None:
        """Print what has changed since the last call; a camera that was well from the start is not told."""
        for node in nodes:
            for camera in node["cameras"]:
                key = (node["node"], camera["camera"])
                reason = camera["reason"]
                said = f"{camera['state']}: {reason}" if reason else camera["state"]
                if camera["state"] == "ok":
                    said = "ok"
                if said != self._told.get(key, "ok"):
                    print(f"demo: {node['node']} {camera['camera']} is {said}", file=sys.stderr, flush=True)
                self._told[key] = said
