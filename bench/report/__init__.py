"""The report of a run: tables, figures and the PDF."""
