"""How far the figures can be trusted: checks of models and runs, and the claims of studies."""
