"""The networks: GB-YOLO, its baselines, and the family by name."""
