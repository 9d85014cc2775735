"""Files, errors, numerics, progress, checkpoints, processes: only numerics can change a weight."""
