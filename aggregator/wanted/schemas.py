"""What the API takes and gives about settings, their history, their drift, and profiles."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from agent import wire
from aggregator.wanted.profiles import Override, ProfileDocument

UnixMs = Annotated[int, Meta(ge=0, le=7_258_118_400_000)]
ProfileOrNone = Annotated[str, Meta(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,47})?$")]


class Settings(Struct):
    """A camera's settings as they are wanted, and what became of them.

    `version`: at which they last changed; it is the `ETag`. `running`: they, or the profile in their place,
    are what the node reports. `refused`: what of them has no effect on the node -> why.
    """

    node: str
    camera: str
    version: int
    settings: wire.CameraSettings
    wanted: int
    applied: int
    running: bool
    error: str
    refused: dict[str, str]
    since: int | None
    by: str
    profile: str


class Differ(Struct):
    """One setting that differs: its path, and it before and after as JSON; empty: not there."""

    path: str
    before: str
    after: str


class Seen(Struct, forbid_unknown_fields=True):
    """A camera and the version of its settings that somebody saw."""

    node: str
    camera: str
    version: int


class Sent(Struct):
    """What was sent to a camera, or would be; `refused`: why it was not.

    `seen`: the version of the camera's settings that the difference was made from.
    """

    node: str
    camera: str
    version: int | None
    difference: list[Differ]
    refused: str = ""
    seen: int = 0


class SentMany(Struct):
    """What was sent to each camera, or would be."""

    rows: list[Sent]


class Aim(Struct, forbid_unknown_fields=True, kw_only=True):
    """Which nodes: all that fit everything that is given. None given: none, so nothing is sent by mistake."""

    site: str = ""
    group: str = ""
    labels: list[str] = []
    nodes: list[str] = []
    everywhere: bool = False


class SettingsForMany(Aim):
    """Settings for many cameras: those that are named replace the old ones, the others stay.

    `seen`: what a dry run showed; a camera that is not as it was then, or was not there, is refused.
    """

    settings: dict[str, Any]
    cameras: list[str] = []
    dry_run: bool = False
    seen: list[Seen] = []


class DocumentVersion(Struct):
    """A document that a node was wanted to run: when, by whom, with what they did."""

    version: int
    at: int
    by: str
    action: str
    document: wire.Document


class Documents(Struct):
    """The documents of a node, the newest first."""

    documents: list[DocumentVersion]


class Drift(Struct):
    """A node that does not do all that is wanted of it.

    `why`: what it said, or that it has not answered. `refused`: what has no effect there. `defaults`: what of
    its groups' defaults it does otherwise.
    """

    node: str
    wanted: int
    applied: int
    since: int | None
    why: str
    refused: dict[str, str]
    defaults: list[str]


class Drifts(Struct):
    """All nodes that drift, by name."""

    rows: list[Drift]


class ProfileRow(ProfileDocument, kw_only=True, frozen=True):
    """A profile, and how many nodes run it now."""

    profile: str
    running: int


class ProfileList(Struct):
    """All profiles by name."""

    profiles: list[ProfileRow]


class SwitchBody(Struct, forbid_unknown_fields=True):
    """To which profile by hand (empty: to none), and until when (Unix ms; null: until it is taken back)."""

    profile: ProfileOrNone = ""
    until: UnixMs | None = None


class SwitchMany(Aim):
    """Many nodes to be switched by hand; `back`: to the clock instead."""

    profile: ProfileOrNone = ""
    until: UnixMs | None = None
    back: bool = False


class Switched(Struct):
    """Which profile runs on a node, and what was switched by hand (null: nothing, the clock says it)."""

    node: str
    profile: str
    by_hand: Override | None


class SwitchedMany(Struct):
    """What runs on each node now."""

    rows: list[Switched]
