"""Alerts: rules over what the fleet is and counts, what they found, and how people are told."""
