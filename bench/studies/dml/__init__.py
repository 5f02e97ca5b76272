"""The study of deep metric learning."""
