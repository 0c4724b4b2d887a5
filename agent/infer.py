"""The door to `agent.see.infer`, kept for those who import it from here."""

from agent.see.infer import Detector, ModelError

__all__ = ["Detector", "ModelError"]
