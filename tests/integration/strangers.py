"""Who comes to a door and is not known: what a test's process may open, and whether a stranger is let go."""

from __future__ import annotations

import asyncio
import resource
import ssl

from deploy.stack import die_with_parent

HANDLES = 256
HALF_HEAD = b"GET / HTTP/1.1\r\nHost: a\r\nX: "


def few_handles() -> None:
    """Let a child process open 256 files, and end with its parent."""
    die_with_parent()
    resource.setrlimit(resource.RLIMIT_NOFILE, (HANDLES, HANDLES))


async def is_ended(reader: asyncio.StreamReader, seconds: float) -> bool:
    """Return if the other side ends a connection in time."""
    try:
        async with asyncio.timeout(seconds):
            while await reader.read(4096):
                pass
    except TimeoutError:
        return False
    except (ConnectionError, ssl.SSLError):
        return True
    return True
