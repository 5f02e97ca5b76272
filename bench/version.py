"""The version of Crossfire, which rows are recorded with."""

__version__ = "0.1.0"
