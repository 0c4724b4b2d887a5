"""Run the files of other exporters, where it is plain how they are to be read.

What always holds: names, task and layout come from the file's metadata or from the owner, and what fits none
or several layouts of `agent.see.layouts` is refused in one line that says what to write. Boxes come back in
the canvas's pixels; suppression is done here over all classes together: one object is one box, whatever it
is called.

    input   a picture, see `picture_port`
            beside it orig_target_sizes (1,2), scale_factor (1,2) or im_shape (1,2)
    names   the metadata's `names`, a Python or JSON list or dict; or the caller's
"""

from __future__ import annotations

import ast
import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.boxes import Uint8, nms
from agent.see import model_file
from agent.see.layouts import LAYOUTS, Array, Asked, Found, Layout, LayoutError, choose
from agent.see.picture_port import KINDS, PicturePort, PortError, find_port
from agent.see.preprocess import Fit, Input, Preprocess

CANDIDATES = 1000  # the best boxes, before suppression
TINY = 2.0  # boxes whose coordinates are all below this many pixels are fractions of the picture
DETECTS = ("", "detect", "detection", "object-detection")


def _said(text: str) -> Any:
    """Return the value that a text spells in JSON or as a Python literal, or None."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def read_names(metadata: Mapping[str, str], given: Sequence[str]) -> dict[int, str]:
    """Return class names: the caller's, else the file's; raise LayoutError."""
    if given:
        return dict(enumerate(given))
    said = _said(metadata.get("names", ""))
    if isinstance(said, list | tuple):
        said = dict(enumerate(said))
    if not said:
        raise LayoutError('it tells no class names; write them into the config, names = ["car", ...]')
    if isinstance(said, dict):  # JSON writes numbers of a dict as text
        said = {int(key) if str(key).isdecimal() else key: name for key, name in said.items()}
    if not isinstance(said, dict) or sorted(said, key=str) != sorted(range(len(said)), key=str):
        raise LayoutError("the names in its metadata are no list of classes from 0 on")
    if not all(isinstance(name, str) and 0 < len(name) <= 48 for name in said.values()):
        raise LayoutError("a class name in its metadata has not 1 to 48 characters")
    return {number: said[number] for number in range(len(said))}


def _true(value: Any) -> bool:
    return str(value).strip().lower() == "true"


def _arguments(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return the arguments of the export that the metadata tells."""
    said = _said(metadata.get("args", ""))
    return said if isinstance(said, dict) else {}


def _check_task(metadata: Mapping[str, str]) -> None:
    """Raise LayoutError for a network whose metadata says that it does not detect."""
    task = metadata.get("task", "").strip().lower()
    if task not in DETECTS:
        raise LayoutError(
            f"its task is {task!r}: the agent needs boxes; export a model that was trained to detect"
        )


def _open_layouts(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Return the layouts that the metadata leaves open; none is all of them."""
    suppressed = _true(metadata.get("end2end")) or _true(_arguments(metadata).get("nms"))
    if suppressed:
        return ("end2end",)
    head = metadata.get("head", "").lower()
    if "rtdetr" in (head + metadata.get("description", "").lower()).replace("-", ""):
        return ("rtdetr", "rtdetr-topk", "detr", "dfine")
    if head.endswith("detect") and metadata.get("end2end", "").lower() == "false":
        return ("yolov8", "yolov5")
    return ()


def baked_confidence(content: bytes, metadata: Mapping[str, str]) -> float | None:
    """Return the least score that a file itself lets through, as its metadata or its suppression says."""
    said = _arguments(metadata)
    if _true(said.get("nms")) and isinstance(said.get("conf"), int | float):
        return float(said["conf"])
    return model_file.baked_confidence(content)


def _declared(layout: str) -> Layout:
    if layout not in LAYOUTS:
        near = difflib.get_close_matches(layout, LAYOUTS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise LayoutError(f"layout = {layout!r}: not known; {hint}Use one of {', '.join(LAYOUTS)}")
    return LAYOUTS[layout]


class ForeignModel:
    """Run a file of another exporter: a canvas goes in, boxes, scores and classes come out."""

    def __init__(
        self,
        session: Any,
        metadata: Mapping[str, str],
        names: Sequence[str],
        layout: str = "",
        preprocess: Preprocess | None = None,
    ) -> None:
        """Look at a file and choose how to read it.

        Args:
            session: the file, open in onnxruntime.
            metadata: what it says of itself.
            names: of its classes, where it does not tell them.
            layout: a name of `agent.see.layouts.LAYOUTS`; empty: found out.
            preprocess: what differs from the layout's own input.

        Raises:
            LayoutError: it cannot be read, or in more than one way.
        """
        self._session = session
        self._ports = f"inputs {_list(session.get_inputs())}, outputs {_list(session.get_outputs())}"
        _check_task(metadata)
        self._port = self._picture_port(metadata)
        self.size = self._port.size
        self._extra = self._feeds()
        self.names = read_names(metadata, names)
        self._asked = Asked(
            len(self.names),
            self.size,
            tuple(port.name for port in session.get_inputs()),
            tuple(port.name for port in session.get_outputs()),
        )
        seen = [self._raw(Input(), canvas) for canvas in _probes(self.size)]
        self.layout = self._choose(seen, layout, metadata)
        said = preprocess or Preprocess()
        if self._port.is_whole and (said.mean or said.std):
            raise LayoutError(
                "its input takes values 0..255 as they are: take `mean` and `std` out of the config"
            )
        self.input = _told_fit(self.layout.input, metadata).but(said)
        self._fractions = self._in_fractions(seen, said)

    def run(self, canvas: Uint8, confidence: float) -> Found:
        """Return boxes (N,4), scores (N,), classes (N,) of a canvas (h,w,3), best first.

        Raises LayoutError if the answer has another shape than at first.
        """
        arrays = self._raw(self.input, canvas)
        if not self.layout.shaped(arrays, self._asked):
            raise LayoutError(f"its output has another shape now: {_shapes(arrays)}")
        xyxy, scores, classes = self.layout.read(arrays, self._asked, confidence)
        if len(scores) > CANDIDATES:
            best = np.argpartition(-scores, CANDIDATES)[:CANDIDATES]
            xyxy = xyxy[best]
            scores = scores[best]
            classes = classes[best]
        if self._fractions or (self._fractions is None and _all_tiny(xyxy)):
            xyxy = xyxy * np.asarray(self.size[::-1] * 2, np.float32)
        kept = nms(xyxy, scores, np.zeros(len(scores), np.int64))
        return xyxy[kept], scores[kept], classes[kept]

    def _picture_port(self, metadata: Mapping[str, str]) -> PicturePort:
        """Return the input that takes the picture; raise LayoutError."""
        try:
            return find_port(self._session.get_inputs(), _said(metadata.get("imgsz", "")))
        except PortError as error:
            raise LayoutError(f"{error}: {self._ports}") from None

    def _feeds(self) -> dict[str, NDArray[Any]]:
        """Return what goes in beside the picture: its size, where a file asks for it; raise LayoutError."""
        height, width = self.size
        known: dict[str, list[float]] = {
            "orig_target_sizes": [width, height],
            "im_shape": [height, width],
            "scale_factor": [1, 1],
        }
        kinds = KINDS | {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
        feeds = {}
        for port in self._session.get_inputs():
            if port.name == self._port.name:
                continue
            if port.name not in known or port.type not in kinds:
                raise LayoutError(f"a foreign model with an input that is not known: {self._ports}")
            feeds[port.name] = np.asarray([known[port.name]], kinds[port.type])
        return feeds

    def _raw(self, wanted: Input, canvas: Uint8) -> list[Array]:
        """Return the network's outputs of a canvas; numbers of half precision as usual ones."""
        feed = {self._port.name: self._port.blob(wanted, canvas)} | self._extra
        found = [np.asarray(out) for out in self._session.run(None, feed)]
        return [out.astype(np.float32) if out.dtype == np.float16 else out for out in found]

    def _choose(self, seen: list[list[Array]], layout: str, metadata: Mapping[str, str]) -> Layout:
        """Return the layout that was declared, if these answers have its shape, or the one that fits."""
        try:
            if not layout:
                self._refuse_classifier(seen)
                return choose(seen, self._asked, _open_layouts(metadata))
            declared = _declared(layout)
        except LayoutError as error:
            raise LayoutError(f"{error}; {self._ports}") from None
        if not all(declared.shaped(arrays, self._asked) for arrays in seen):
            raise LayoutError(
                f"layout = {layout!r} is {declared.told}, but with {len(self.names)} class names "
                f"its output is {_shapes(seen[0])}; {self._ports}"
            )
        return declared

    def _refuse_classifier(self, seen: list[list[Array]]) -> None:
        """Raise LayoutError where each picture gets one score a class."""
        if all(len(arrays) == 1 and arrays[0].shape == (1, len(self.names)) for arrays in seen):
            raise LayoutError(
                f"it gives one score for each of {len(self.names)} classes: a classifier of whole pictures; "
                "export a model that was trained to detect"
            )

    def _in_fractions(self, seen: list[list[Array]], said: Preprocess) -> bool | None:
        """Say whether boxes are fractions of the canvas; None while no box was seen."""
        if self.layout.pixels or said.boxes:
            return said.boxes == "fractions" and not self.layout.pixels
        boxes = np.concatenate([self.layout.read(arrays, self._asked, -1.0)[0] for arrays in seen])
        boxes = boxes[np.isfinite(boxes).all(1) & boxes.any(1)]
        return _all_tiny(boxes) if len(boxes) else None


def _told_fit(usual: Input, metadata: Mapping[str, str]) -> Input:
    """Return an input with the padding that the metadata tells (LibreYOLO's `letterbox_pad`)."""
    fits: dict[str, Fit] = {"topleft": "corner", "center": "letterbox"}
    pad = metadata.get("letterbox_pad", "")
    return usual.but(Preprocess(fit=fits[pad])) if pad in fits and usual.fit != "stretch" else usual


def _all_tiny(xyxy: Any) -> bool:
    return len(xyxy) > 0 and bool((np.abs(xyxy) <= TINY).all())


def _probes(size: tuple[int, int]) -> list[Uint8]:
    """Return two canvases (h,w,3) to look at a network's numbers: grey, and coarse noise."""
    height, width = size
    coarse = np.random.default_rng(0).integers(0, 256, (-(-height // 16), -(-width // 16), 3), np.uint8)
    noise = coarse.repeat(16, 0).repeat(16, 1)[:height, :width]
    return [np.full((height, width, 3), 114, np.uint8), np.ascontiguousarray(noise)]


def _shapes(arrays: Sequence[Array]) -> str:
    return " and ".join(str(array.shape) for array in arrays)


def _list(ports: Sequence[Any]) -> str:
    return ", ".join(f"{port.name} {port.type} {port.shape}" for port in ports)
