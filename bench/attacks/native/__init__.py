"""Attacks written here."""
