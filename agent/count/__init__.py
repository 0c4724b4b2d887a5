"""From tracks to facts: labels by vote, lines, zones, totals, events."""
