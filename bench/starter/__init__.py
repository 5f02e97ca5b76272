"""The files that `bench init` writes."""
