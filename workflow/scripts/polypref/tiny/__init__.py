"""The miniature's toy language, data files and tiny checkpoints."""
