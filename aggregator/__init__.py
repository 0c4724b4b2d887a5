"""The centre: events to a store and a page."""
