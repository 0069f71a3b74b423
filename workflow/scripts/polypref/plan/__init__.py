"""What a configuration implies: artifacts, batches, the repositories and keys that they need."""
