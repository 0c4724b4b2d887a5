"""What a person is told in the browser where an address leads nowhere, or the page cannot be shown.

What always holds: who asks the API, or asks for JSON, gets JSON (`wants` is False); the page holds nothing
of the fleet, looks like the others, and leads back to them from whatever folder a proxy has put it in.
"""

from __future__ import annotations

from html import escape
from string import Template

from aiohttp import web

_PAGE = Template("""<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta name="color-scheme" content="light dark" />
    <base href="$base" />
    <title>$title · GB-Fleet</title>
    <link rel="icon" href="icon.svg" type="image/svg+xml" />
    <script src="theme.js"></script>
    <link rel="stylesheet" href="app.css" />
  </head>
  <body>
    <main class="login panel">
      <h1>$title</h1>
      <p>$text</p>
      <p><a href="./">To the fleet</a></p>
    </main>
  </body>
</html>
""")
_TITLES = {404: "No such page"}
_TEXTS = {404: "Nothing is at this address. It may be mistyped, or an old link."}


def wants(request: web.Request) -> bool:
    """Return whether a browser asks for a page, and nothing for the API."""
    path = request.match_info.get("path")
    accepted = request.headers.get("Accept", "")
    if path is None or path.startswith("api/"):
        return False
    return "text/html" in accepted and "application/json" not in accepted


def error_page(request: web.Request, status: int, message: str) -> web.Response:
    """Return a page with the words of an error, for one whom `wants` finds."""
    html = _PAGE.substitute(
        base=up(request.match_info["path"]),
        title=_TITLES.get(status, "This cannot be shown now"),
        text=escape(_TEXTS.get(status, message)),
    )
    return web.Response(text=html, status=status, content_type="text/html")


def up(path: str) -> str:
    """Return the page's own folder, as seen from a path below it: a proxy may have put it anywhere."""
    return "../" * path.count("/") or "./"
