"""Where nodes stand and what they belong to: sites, groups, labels."""
