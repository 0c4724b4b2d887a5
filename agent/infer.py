"""The door to `agent.see.infer`, kept for those who import it from here."""

from agent.see.infer import Detector, InferenceError, ModelError

__all__ = ["Detector", "InferenceError", "ModelError"]
