"""How the networks of other exporters write down what they see: the table of layouts, and a reader for each.

What always holds: a reader returns boxes (N,4) left, top, right, bottom of every row whose score is above the
confidence, and rows that are not a number, to be refused later. A layout is chosen by `choose`: by what the
metadata or the owner says, else by shapes and by what the numbers cannot be (a column of classes holds whole
numbers, a score lies in 0..1). Where two layouts remain, none is guessed.

C classes, N rows; G cells at strides 8, 16, 32 (a set of STRIDES); pictures fit as `Input` says.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.see import query_readers, readers
from agent.see.outputs import Array, Asked
from agent.see.preprocess import Input
from agent.see.readers import Found, Reader, Test

__all__ = ["LAYOUTS", "Array", "Asked", "Found", "Layout", "LayoutError", "choose"]

PLAIN = Input()
STRETCHED = Input(fit="stretch")
IMAGENET = Input("rgb", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "stretch")
NANODET = Input("bgr", (103.53, 116.28, 123.675), (57.375, 57.12, 58.395), "stretch")
YOLOX = Input("bgr", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "corner")
FASTEST = Input("bgr", fit="stretch")


class LayoutError(Exception):
    """Say in one line what keeps a file from being read."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Hold one row of the table.

    `shaped` says whether an answer has its shape, `likely` whether its numbers may be of this kind too.
    `pixels` tells that boxes cannot be fractions, since the reader itself makes pixels of them.
    """

    name: str
    told: str
    input: Input
    shaped: Test
    likely: Test
    read: Reader
    pixels: bool = False


LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout(
            "yolov8",
            "(1, 4+C, N) centre, size, classes",
            PLAIN,
            readers.is_yolov8,
            readers.likely_yolov8,
            readers.read_yolov8,
        ),
        Layout(
            "yolov8-rows",
            "(1, N, 4+C) centre, size, classes",
            PLAIN,
            readers.is_centred,
            readers.likely_centred(True),
            readers.read_centred,
        ),
        Layout(
            "rtdetr",
            "(1, N, 4+C) centre, size, classes",
            STRETCHED,
            readers.is_centred,
            readers.likely_centred(False),
            readers.read_centred,
        ),
        Layout(
            "yolov5",
            "(1, N, 5+C) centre, size, objectness, classes",
            PLAIN,
            readers.is_objects,
            readers.likely_objects,
            readers.read_objects,
        ),
        Layout(
            "yolov6",
            "(1, N, 5+C) centre, size, 1, classes",
            PLAIN,
            readers.is_objects,
            readers.likely_cell_objects(decoded=True, sure=True),
            readers.read_objects,
        ),
        Layout(
            "yolox",
            "(1, N, 5+C) offsets from cells, objectness, classes",
            YOLOX,
            readers.is_yolox,
            readers.likely_cell_objects(decoded=False),
            readers.read_yolox,
            pixels=True,
        ),
        Layout(
            "yolox-decoded",
            "(1, N, 5+C) centre, size, objectness, classes",
            YOLOX,
            readers.is_objects,
            readers.likely_cell_objects(decoded=True),
            readers.read_objects,
        ),
        Layout(
            "end2end",
            "(1, N, 6) or (N, 6) left, top, right, bottom, score, class",
            PLAIN,
            readers.is_finished(6),
            readers.likely_finished(0, 4, 5),
            readers.read_end2end,
        ),
        Layout(
            "rtdetr-topk",
            "(1, N, 6) centre, size, score, class",
            STRETCHED,
            readers.is_finished(6),
            readers.likely_topk,
            readers.read_topk,
        ),
        Layout(
            "yolov7",
            "(N, 7) picture, left, top, right, bottom, class, score",
            PLAIN,
            lambda arrays, asked: len(arrays) == 1 and arrays[0].ndim == 2 and arrays[0].shape[1] == 7,
            readers.likely_finished(1, 6, 5),
            readers.read_yolov7,
        ),
        Layout(
            "nanodet-plus",
            "(1, N, C+32) classes, distances",
            NANODET,
            readers.is_nanodet,
            readers.always,
            readers.read_nanodet,
            pixels=True,
        ),
        Layout(
            "fastestdet",
            "(1, 5+C, h/16, w/16)",
            FASTEST,
            readers.is_fastestdet,
            readers.always,
            readers.read_fastestdet,
            pixels=True,
        ),
        Layout(
            "detr",
            "(1, N, C) logits and (1, N, 4) centre, size",
            STRETCHED,
            query_readers.is_detr,
            query_readers.likely_queries("logits", "pred_logits"),
            query_readers.read_detr,
        ),
        Layout(
            "rfdetr",
            "(1, N, 4) centre, size and (1, N, C or C+1) logits",
            IMAGENET,
            query_readers.is_rfdetr,
            query_readers.likely_queries("dets", "labels"),
            query_readers.read_detr,
        ),
        Layout(
            "dfine",
            "(1, N) labels, (1, N, 4) left, top, right, bottom, (1, N) scores",
            STRETCHED,
            lambda arrays, asked: readers.three(arrays) is not None,
            readers.always,
            readers.read_dfine,
        ),
        Layout(
            "paddle",
            "(N, 6) class, score, left, top, right, bottom",
            IMAGENET,
            readers.is_paddle,
            readers.always,
            readers.read_paddle,
        ),
        Layout(
            "picodet",
            "4 x (1, N, C) and 4 x (1, N, 32)",
            IMAGENET,
            readers.is_picodet,
            readers.always,
            readers.read_picodet,
            pixels=True,
        ),
        Layout(
            "boxes-scores",
            "(1, N, 4) left, top, right, bottom and (1, C, N) scores",
            IMAGENET,
            readers.is_boxes_scores,
            readers.always,
            readers.read_boxes_scores,
        ),
    )
}


def choose(seen: list[list[Array]], asked: Asked, among: tuple[str, ...] = ()) -> Layout:
    """Return the layout of these answers, each a list of outputs; raise LayoutError for none or several.

    `among` are the layouts that metadata leaves open; none names all of them.
    """
    open_ = [LAYOUTS[name] for name in among or LAYOUTS]
    shaped = [layout for layout in open_ if all(layout.shaped(arrays, asked) for arrays in seen)]
    likely = [layout for layout in shaped if all(layout.likely(arrays, asked) for arrays in seen)]
    if len(likely) == 1:
        return likely[0]
    shapes = " and ".join(str(array.shape) for array in seen[0])
    found = f"its output is {shapes}, with {asked.classes} class names"
    if not shaped:
        known = ", ".join(layout.name for layout in open_)
        raise LayoutError(f"a foreign model of unknown layout: {found}; known are {known} (docs/models.md)")
    values = " or ".join(f'layout = "{layout.name}" for {layout.told}' for layout in likely or shaped)
    if likely:
        raise LayoutError(f"a foreign model of several meanings: {found}; write into the config {values}")
    raise LayoutError(
        f"a foreign model whose numbers fit no layout of its shape: {found}; known is {values}; if it is "
        "none of these, export it in another form (docs/models.md)"
    )
