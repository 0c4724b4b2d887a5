"""From a camera to detections: sources, the newest frame, the model."""
