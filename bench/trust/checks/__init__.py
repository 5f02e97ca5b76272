"""Checks: what shows that a model, a toolkit or an evaluation can be believed."""
