"""The miniature's world: its language, its data files and its tiny checkpoints."""
