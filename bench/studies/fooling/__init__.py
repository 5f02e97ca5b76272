"""The study of how far images are from the decision boundary."""
