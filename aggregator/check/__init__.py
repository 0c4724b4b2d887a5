"""What the centre needs of its broker and its database, tried out, for `gb-aggregator check`."""
