"""Orders to nodes: each has an id, an expiry and one answer."""
