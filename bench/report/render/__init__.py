"""The formats of a report: each makes files of blocks, and knows nothing else."""
