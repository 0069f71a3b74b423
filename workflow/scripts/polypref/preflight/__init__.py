"""Tools around a run: preflight checks, cost estimates, downloads, pinned revisions and row-store maintenance."""
