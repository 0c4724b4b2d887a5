"""All of MongoDB: what is written, in which order, and how it is read back."""
