"""By which names boxes reach this machine."""

from __future__ import annotations

import socket


def own() -> list[str]:
    """Return what this machine may be called; first the address by which others reach it."""
    name = socket.gethostname()
    found = [_address(), name, f"{name}.local" if "." not in name else ""]
    return [one for one in found if one and not one.startswith("localhost")] or ["localhost"]


def told(before: str, name: str) -> str:
    """Say by which name boxes reach this centre, and whether it was another one before."""
    if before == name:
        return f"boxes reach this centre at {name}"
    return (
        f"boxes that join from now on reach this centre at {name}; before it was {before}. Boxes that have "
        "joined go on with what they were told. --host (GB_HOST) says another name"
    )


def _address() -> str:
    """Return the address of the interface that leads outside; nothing is sent for it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return ""
