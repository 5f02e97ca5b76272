"""Features: frozen trunks under classifiers of scikit-learn."""
