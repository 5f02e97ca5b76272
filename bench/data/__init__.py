"""Data sets as (name, split) to images and labels."""
