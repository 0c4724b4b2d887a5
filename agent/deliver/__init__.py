"""From events to the centre: the spool on disk and the connection that empties it."""
