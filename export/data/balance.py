"""Pictures of rare classes, repeated."""

from __future__ import annotations

import numpy as np

from export.data.sample import Picture


def balance(pictures: list[Picture], share: float) -> list[Picture]:
    """Repeat pictures of rare classes: those of a class in a share f of a source come sqrt(share / f) times.

    A picture of several classes goes by its rarest; one of none, or of frequent ones alone, comes once. A
    box that may be of several classes speaks for none. After Gupta et al. 2019 (LVIS), whole numbers here.
    """
    result: list[Picture] = []
    for source in sorted({picture.source for picture in pictures}) if share else []:
        those = [picture for picture in pictures if picture.source == source]
        has = np.stack([(p.allowed & (p.allowed.sum(1) == 1)[:, None]).any(0) for p in those])  # (P,C)
        often = np.sqrt(share / np.maximum(has.mean(0), 1e-9))
        times = np.maximum(np.where(has, often, 1.0).max(1), 1.0).round().astype(int)
        result += [picture for picture, count in zip(those, times, strict=True) for _ in range(count)]
    return result or pictures
