"""Data sets as (name or address, split) to images and labels."""
