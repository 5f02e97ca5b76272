"""Attacks: the table of them, and one driver for each toolkit."""
