"""Health checks: whether the numbers of a run can be believed, and why not."""
