"""The sections of a report: a file each, with a `SECTION` that says what it is and where it stands."""
