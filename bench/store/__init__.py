"""Identity of cells and the crash-safe store of their rows."""
