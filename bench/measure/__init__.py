"""From rows to numbers: norms, rates with intervals, headline, curves."""
