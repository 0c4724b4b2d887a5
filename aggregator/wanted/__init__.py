"""What nodes are wanted to do: settings as documents, for one camera or many, by profile; their drift."""
