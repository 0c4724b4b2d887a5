"""One file from which a centre rises again: its database, secrets, authority and broker rights, sealed."""
