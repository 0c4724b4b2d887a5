"""A real RTSP server for the tests: a moving ball, or a picture that never changes.

Run it with Debian's own python3, which has the GStreamer bindings:
`rtsp_server.py PORT [PATTERN] [USER:PASSWORD] [FPS]`. It prints `ready` when it listens; kill it to end it.
"""

from __future__ import annotations

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402 - the versions come first

PIPELINE = (
    "( videotestsrc is-live=true pattern={pattern} ! video/x-raw,width=320,height=240,framerate={fps}/1"
    " ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! rtph264pay name=pay0 pt=96 )"
)


def protect(server: GstRtspServer.RTSPServer, factory: GstRtspServer.RTSPMediaFactory, secret: str) -> None:
    """Ask for a user and a password."""
    user, password = secret.split(":")
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", user)
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    factory.add_role_from_structure(Gst.Structure.from_string(
        f"{user}, media.factory.access=true, media.factory.construct=true"
    )[0])  # fmt: skip


def main(port: str, pattern: str = "ball", secret: str = "", fps: str = "15") -> None:
    """Serve rtsp://127.0.0.1:PORT/cam until killed."""
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(PIPELINE.format(pattern=pattern, fps=fps))
    factory.set_shared(True)
    if secret:
        protect(server, factory, secret)
    server.get_mount_points().add_factory("/cam", factory)
    if not server.attach(None):
        sys.exit(f"port {port} is taken")
    print("ready", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(*sys.argv[1:])
