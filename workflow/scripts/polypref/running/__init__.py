"""A run and its jobs: progress lines, log files, the summary at the end, Slurm."""
