"""One training: its loss, its loop, and what it begins with."""
