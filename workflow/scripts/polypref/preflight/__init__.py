"""Before and beside a run: checks, estimates, cost, downloads, revisions, care of the row stores."""
