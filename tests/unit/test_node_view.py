"""One node as it stands."""

from __future__ import annotations

from agent import wire
from aggregator.node_view import NodeView

ABSENT = wire.CameraReport("cam0", "absent", 0, "no answer", "traffic", "", ["car"], (960, 540))


def test_an_offline_node_is_warned_of_once() -> None:
    """What its cameras were is old news then; they keep their state and reason beside it."""
    view = NodeView("gate", 0)
    view.state = wire.State("gate", True, 0, cameras=[ABSENT])
    view.online = True
    view.hear(1000)
    assert view.entry(2000).warnings == ["Camera cam0 is absent: no answer"]
    view.online = False
    entry = view.entry(2000)
    assert entry.warnings == ["The node is offline"]
    assert [(camera.state, camera.reason) for camera in entry.cameras] == [("absent", "no answer")]
