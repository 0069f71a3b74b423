"""A run and its jobs: progress lines, log files, the final summary and the Slurm integration."""
