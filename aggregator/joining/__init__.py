"""Boxes come and go from the page: one, a dozen, in the place of another, and away."""
