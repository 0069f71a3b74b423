"""The plan that a configuration implies: its artifacts and batches, and the repositories and API keys they need."""
