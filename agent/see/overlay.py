"""Text that a camera writes into its pictures, taken out: a clock says nothing of what the lens sees.

What always holds: only rows near the upper and the lower edge are changed, and only where letters stand: a
lamp or a roof has no such many strokes side by side.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.percentile import percentile

Float = NDArray[np.float32]

STRIP = 0.2  # of the height, above and below: there text is written
TALLEST = 0.15  # of the height: the lines of text in one strip
CONTRAST = 70.0  # grey levels between letters and the picture
STROKES = 12  # changes between the two in one row
AROUND = 3  # rows that compression blurs
BESIDE = 12  # rows, and columns, by which what is under the text is guessed


def without_text(grey: Float) -> Float:
    """Return a picture (h,w), its lines of text painted over with what stands beside them."""
    height = len(grey)
    strip = int(np.ceil(STRIP * height))
    level = percentile(grey[strip : height - strip : 2, ::2], 50)
    letters = np.abs(grey - level) > CONTRAST
    written = np.count_nonzero(letters[:, 1:] != letters[:, :-1], axis=1) >= STROKES  # (h,)
    plain = grey
    for first, last in ((0, strip), (height - strip, height)):
        rows = np.flatnonzero(written[first:last]) + first
        if not len(rows) or np.ptp(rows) >= TALLEST * height:
            continue
        begin = max(int(rows[0]) - AROUND, 0)
        end = min(int(rows[-1]) + AROUND + 1, height)
        inward = plain[end : end + BESIDE] if first == 0 else plain[begin - BESIDE : begin]
        plain = plain.copy()
        plain[begin:end] = cv2.blur(inward.mean(axis=0, keepdims=True), (BESIDE, 1))
    return plain
