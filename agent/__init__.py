"""The edge node: camera to events."""
