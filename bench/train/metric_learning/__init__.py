"""Metric learning with a k-NN vote: reference sets, agreement of its surrogates, snapshots."""
