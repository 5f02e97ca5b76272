"""Attacks that are implemented in Crossfire itself."""
