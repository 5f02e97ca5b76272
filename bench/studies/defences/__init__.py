"""The study of defences."""
