"""The study of local learning."""
