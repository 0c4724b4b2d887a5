"""What `make bench-count` is made of: what is tracked, by whom, and how well."""
