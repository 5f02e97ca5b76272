"""Recipes as data, one trainer, weights with cards."""
