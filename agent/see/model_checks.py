"""What this box knows of its models from earlier starts: whose answer was right, whose licence was told.

What always holds: it is a note, never a need; where the file is missing or damaged, everything is new again.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

from agent import atomic_file
from agent.see import self_test
from agent.see.infer import Detector, InferenceError

_LOG = logging.getLogger(__name__)

_MOST = 200  # notes kept


class Known:
    """Remember short texts in one file of the state folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            said = json.loads(path.read_text())
        except (OSError, ValueError):
            said = []
        self._notes = [note for note in said if isinstance(note, str)] if isinstance(said, list) else []

    def __contains__(self, note: str) -> bool:
        return note in self._notes

    def add(self, note: str) -> None:
        """Keep a note; where the folder cannot be written, until the end of this run."""
        self._notes = [*self._notes, note][-_MOST:]
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            atomic_file.write(self._path, json.dumps(self._notes, indent=1), 0o644)
        except OSError as error:
            _LOG.warning("%s: not written (%s); the models are checked again", self._path, error.strerror)


def meet(detector: Detector, known: Known) -> None:
    """Check a model's stored answer and tell its licence, each once; raise ModelError for a wrong answer.

    An answer that is no answer at all is told, and left to the camera that asks for it: others go on.
    """
    if detector.warning:
        _LOG.warning("model %s: %s", detector.path.name, detector.warning)
    checked = f"answer {detector.sha256} {self_test.machine()}"
    if checked not in known:
        try:
            self_test.check(detector)
            known.add(checked)
        except InferenceError as error:
            _LOG.error("%s", error)
    told = f"licence {detector.sha256}"
    if told not in known:
        licence = (
            detector.metadata.get("licence") or detector.metadata.get("license") or "its file tells none"
        )
        _LOG.info("model %s, licence: %s", detector.path.name, " ".join(licence.split())[:500])
        known.add(told)
