"""Readers of the forms in which labelling tools leave their work, one module each."""
