"""Attacks: what there is, and one driver a toolkit."""
