"""Experiment trackers: a file each, imported when a run is logged there; the run is finished and stored by then."""
