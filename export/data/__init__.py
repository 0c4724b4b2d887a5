"""Labelled pictures: found, read, split, augmented and fed to a training."""
