"""How far the figures can be trusted: parity between toolkits."""
