"""Checks of whether a model, a toolkit or an evaluation can be trusted."""
