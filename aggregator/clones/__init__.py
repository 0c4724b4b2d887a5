"""Two boxes with one identity: one is kept out of the counts until somebody says which it is."""
