"""Texture of worn masks: grey-level co-occurrence (Haralick et al. 1973) and nearest neighbours.

Paper 2 names both without a method or a result; here they get the crops that the CNN gets. The lower half of
the face is what is asked about: its co-occurrences stand beside those of the whole.

    crop ─▶ grey, LEVELS steps ─▶ how often which steps are neighbours, by distance and angle ─▶ 6 properties
"""

from __future__ import annotations

import cv2
import numpy as np
from skimage.feature import graycomatrix, graycoprops
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from agent.boxes import Float32, Uint8
from export.crops.cut import NO_FACE, Crops
from export.crops.learn import seen_by_judge

LEVELS = 16
DISTANCES = (1, 3)
ANGLES = (0.0, np.pi / 4, np.pi / 2, 3 * np.pi / 4)
PROPERTIES = ("contrast", "dissimilarity", "homogeneity", "energy", "correlation", "ASM")
NEIGHBOURS = 15


def texture(crop: Uint8) -> Float32:
    """Return the features (96,) of a crop as the judge sees it, (side,side,3)."""
    grey = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY) // (256 // LEVELS)
    features = []
    for part in (grey, grey[len(grey) // 2 :]):
        pairs = graycomatrix(part, DISTANCES, ANGLES, levels=LEVELS, symmetric=True, normed=True)
        features += [graycoprops(pairs, name).ravel() for name in PROPERTIES]
    return np.concatenate(features).astype(np.float32)


def textures(crops: Crops) -> Float32:
    """Return the features (N,96) of crops."""
    return np.stack([texture(crop) for crop in seen_by_judge(crops.pixels)])


def neighbours_say(learnt: Crops, asked: Crops) -> Float32:
    """Return how probable each state is (N,2) by neighbours; crops without a face teach nothing."""
    faces = learnt.some(learnt.state != NO_FACE)
    model = make_pipeline(StandardScaler(), KNeighborsClassifier(NEIGHBOURS, weights="distance"))
    model.fit(textures(faces), faces.state)
    return np.asarray(model.predict_proba(textures(asked)), np.float32)
