"""The broker: its settings, and a connected client."""
