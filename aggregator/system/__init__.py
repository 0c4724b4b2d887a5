"""What every part of the centre spends, over time."""
