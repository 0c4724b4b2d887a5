"""The judge of enlarged faces: crops out of labelled pictures, a small CNN, a texture baseline, one file."""
