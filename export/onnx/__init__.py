"""From a trained network to a finished file: folded, written, quantised, packaged."""
