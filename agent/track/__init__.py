"""From detections to tracks: who is who from frame to frame, by real time."""

from agent.track.tracker import Tracker, Tracks, make_tracker

__all__ = ["Tracker", "Tracks", "make_tracker"]
