"""From a picture to detections, by an .onnx file that says itself what it is.

What always holds: normalisation, decoding and suppression are inside the graph, so the camera's bytes go in
and boxes come out; another exporter's file is read where its layout is plain (`agent.see.layouts`) and
refused before it sees a picture where it is not; nothing that is not a finite number leaves this module.

    picture (H,W,3) BGR ─ fit ─▶ (1,h,w,3) uint8 ─ session ─▶ boxes (N,4), scores (N,), classes (N,)

Several threads may use one `Detector` at once: nothing of a picture stays in it, and a session with one
thread computes in the thread that calls it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    NotImplemented,
    RuntimeException,
)

from agent.boxes import Detections, Uint8
from agent.see import arena, model_file
from agent.see.foreign import ForeignModel, baked_confidence
from agent.see.layouts import LayoutError
from agent.see.packaged import near
from agent.see.preprocess import Preprocess, fit_picture

FORMAT = "gb-yolo 1"
SECOND = "second_input"  # the metadata's key of the size in which the graph looks at a picture as well
MIRRORED = "mirrored"  # the key that says that it looks at each mirrored, too
ADVICE = "give a model made by `gb-export onnx`, or `traffic` or `mask`"
_UNREADABLE = (Fail, InvalidArgument, InvalidGraph, InvalidProtobuf, NotImplemented, RuntimeException)
RUNTIME_ERRORS = _UNREADABLE  # what a graph may raise while it runs, too


class ModelError(Exception):
    """Say in one line why a model file cannot be used, and what to do."""


class InferenceError(Exception):
    """Say that a loaded model gave an answer that makes no sense."""


def _session(content: bytes, path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = arena.session_options(threads)
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except _UNREADABLE as error:
        plain = f"not a model that can be run ({_reason(error)}); {ADVICE}"
        raise ModelError(f"{path}: {_too_new(content) or _elsewhere(content) or plain}") from None
    arena.empty()
    session._model_bytes = None  # kept for a change of provider, and as large as the file; there is but one
    return session


def _reason(error: Exception) -> str:
    """Return the end of the first line of what the runtime says."""
    return str(error).splitlines()[0].rpartition(" : ")[2].strip()


def _opens(content: bytes) -> bool:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except _UNREADABLE:
        return False
    return True


def _too_new(content: bytes) -> str:
    """Say which versions this runtime opens where a file's are newer, else nothing."""
    ir, opset = model_file.versions(content)
    if _opens(model_file.smallest(min(ir, 127), min(opset, 127))):
        return ""
    most_ir, most_opset = model_file.newest(ir, opset, _opens)
    told = f"onnxruntime {onnxruntime.__version__} does not open it"
    if 0 < most_opset < opset:
        return f"its opset is {opset}, and {told}: export with opset {most_opset} or older"
    if 0 < most_ir < ir:
        return f"its IR version is {ir}, and {told}: save it with ir_version = {most_ir} or older"
    return ""


def _elsewhere(content: bytes) -> str:
    if not model_file.has_other_file(content):
        return ""
    return "its weights lie in another file: export it as one, torch.onnx.export(..., external_data=False)"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{path}: no such model file; {ADVICE}{near(path)}") from None
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); {ADVICE}") from None


def _names(metadata: Mapping[str, str], path: Path) -> dict[int, str]:
    try:
        names = json.loads(metadata["names"])
    except (KeyError, ValueError):
        names = None
    named = isinstance(names, list) and all(isinstance(name, str) and 0 < len(name) <= 48 for name in names)
    if not names or not named:
        raise ModelError(f"{path}: its metadata holds no class names of 1 to 48 characters; {ADVICE}")
    return dict(enumerate(names))


def _input_size(session: onnxruntime.InferenceSession, path: Path) -> tuple[int, int]:
    first = session.get_inputs()[0]
    shape = first.shape
    fits = len(shape) == 4 and shape[0] == 1 and shape[3] == 3 and all(isinstance(n, int) for n in shape)
    if first.type != "tensor(uint8)" or not fits:
        raise ModelError(
            f"{path}: its input is {first.type} {shape}, not uint8 (1, height, width, 3); {ADVICE}"
        )
    return int(shape[1]), int(shape[2])


class Detector:
    """Find objects in pictures with one .onnx file.

    `confidence` is the least score of a detection (0..1), `threads` how many threads one inference uses,
    `names` the classes of another exporter's file that does not tell them; `layout` (of `agent.see.layouts`)
    and
    `preprocess` how such a file is read, where it does not tell that either. `baked` is the least score
    that a suppression inside such a file lets through, where it tells one.
    Raises `ModelError` for a missing or broken file, and for one whose layout is not known.
    """

    def __init__(
        self,
        path: str | Path,
        confidence: float = 0.25,
        threads: int = 1,
        names: Sequence[str] = (),
        layout: str = "",
        preprocess: Preprocess | None = None,
    ) -> None:
        if not 0 <= confidence <= 1:
            raise ValueError(f"confidence must be within 0..1, not {confidence}")
        self.path = Path(path)
        self.confidence = confidence
        content = _read(self.path)
        self.sha256 = hashlib.sha256(content).hexdigest()
        self._session = _session(content, self.path, threads)
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self._least = np.asarray([confidence], np.float32)
        self._foreign: ForeignModel | None = None
        self.baked: float | None = None
        if self.metadata.get("format") == FORMAT:
            for key, said in (("names", names), ("layout", layout), ("preprocess", preprocess)):
                if said:
                    raise ModelError(f"{self.path}: tells that itself; take `{key}` out of the config")
            self.names = _names(self.metadata, self.path)
            self.input_size = _input_size(self._session, self.path)
            self._check_ports()
        else:
            self._foreign = self._read_foreign(names, layout, preprocess)
            self.names = self._foreign.names
            self.input_size = self._foreign.size
            self.baked = baked_confidence(content, self.metadata)

    def _read_foreign(self, names: Sequence[str], layout: str, preprocess: Preprocess | None) -> ForeignModel:
        try:
            return ForeignModel(self._session, self.metadata, names, layout, preprocess)
        except LayoutError as error:
            raise ModelError(f"{self.path}: {error}; {ADVICE}") from None
        except _UNREADABLE as error:
            raise ModelError(f"{self.path}: does not run ({_reason(error)}); {ADVICE}") from None

    def _check_ports(self) -> None:
        inputs = [port.name for port in self._session.get_inputs()]
        outputs = [port.name for port in self._session.get_outputs()]
        if inputs != ["picture", "confidence"] or outputs != ["boxes", "scores", "classes"]:
            raise ModelError(f"{self.path}: its inputs are {inputs}, its outputs {outputs}; {ADVICE}")

    @property
    def second_size(self) -> tuple[int, int] | None:
        """The size (height, width) in which the graph looks at a picture as well, where there is one."""
        said = re.fullmatch(r"(\d+)x(\d+)", self.metadata.get(SECOND, ""))
        return (int(said[1]), int(said[2])) if said and self._foreign is None else None

    @property
    def mirrored(self) -> bool:
        """Whether the graph looks at the mirrored picture as well."""
        return self._foreign is None and self.metadata.get(MIRRORED) == "yes"

    @property
    def inputs(self) -> str:
        """How a picture is looked at, in words: all sizes, and whether it is mirrored too."""
        sizes = [self.input_size, *([self.second_size] if self.second_size else [])]
        words = " and ".join("{}x{}".format(*size) for size in sizes)
        return f"{words}, mirrored too" if self.mirrored else words

    @property
    def layout(self) -> str:
        """The layout by which another exporter's file is read; empty for our own."""
        return self._foreign.layout.name if self._foreign else ""

    @property
    def warning(self) -> str:
        """What a confidence inside the file keeps from coming out; nothing where there is none above ours."""
        if self.baked is None or self.baked <= self.confidence:
            return ""
        return (
            f"a confidence of {self.baked:g} is baked into the file: weaker boxes never come out, though the "
            f"tracker goes on with them down to {self.confidence:g}; export it with a lower one"
        )

    def detect(self, image_bgr: Uint8) -> Detections:
        """Return what is in a picture (H,W,3) BGR, best first; boxes are in its pixels, cut at its edges."""
        found = self.detect_uncut(image_bgr)
        height, width = image_bgr.shape[:2]
        xyxy = np.clip(found.xyxy, 0, np.asarray((width, height, width, height), np.float32))
        cut = Detections(xyxy, found.confidence, found.class_id)
        kept = (xyxy[:, 2] > xyxy[:, 0]) & (xyxy[:, 3] > xyxy[:, 1])
        return cut if kept.all() else cut[kept]

    def detect_uncut(self, image_bgr: Uint8) -> Detections:
        """Return what the network says of a picture (H,W,3) BGR, boxes outside of it and empty ones too."""
        fit = self._foreign.input.fit if self._foreign else "letterbox"
        fitted = fit_picture(image_bgr, self.input_size, fit)
        boxes, scores, classes = self._run(fitted.canvas)
        return Detections(fitted.back(boxes), scores.copy(), classes.copy())  # they lie in the arena

    def _run(self, canvas: Uint8) -> tuple[Any, Any, Any]:
        """Run the graph on a canvas (h,w,3); check what comes out: boxes (N,4), scores (N,), classes (N,)."""
        try:
            if self._foreign is None:
                feed = {"picture": canvas[None], "confidence": self._least}
                boxes, scores, classes = self._session.run(None, feed)
            else:
                boxes, scores, classes = self._foreign.run(canvas, self.confidence)
        except _UNREADABLE as error:
            raise InferenceError(f"{self.path}: does not run ({_reason(error)})") from None
        except LayoutError as error:
            raise InferenceError(f"{self.path}: {error}") from None
        count = len(scores)
        if boxes.shape != (count, 4) or scores.shape != (count,) or classes.shape != (count,):
            raise InferenceError(
                f"{self.path}: shapes {boxes.shape}, {scores.shape}, {classes.shape} do not match"
            )
        if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
            raise InferenceError(
                f"{self.path}: the model gave numbers that are not finite; the file may be damaged"
            )
        if count and (classes.min() < 0 or classes.max() >= len(self.names)):
            raise InferenceError(f"{self.path}: the model gave a class that has no name")
        return boxes, scores, classes
