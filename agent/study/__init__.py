"""What a box looks into for some minutes when it is ordered to; nothing of it enters the counts."""
