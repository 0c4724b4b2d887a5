"""A fleet that is not there, on the real wire: to see what a centre can carry before the boxes are bought."""
