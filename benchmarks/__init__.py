"""Measurements: ratios taken in one run, on the real parts."""
