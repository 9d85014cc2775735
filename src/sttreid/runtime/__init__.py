"""Files, errors, numerics, progress, checkpoints and processes: nothing here decides a weight but numerics."""
