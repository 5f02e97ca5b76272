"""Local learning: names, the rule of Krotov and Hopfield, its filters and their snapshots."""
