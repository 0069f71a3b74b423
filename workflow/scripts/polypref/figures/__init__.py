"""The figures of the report and their plotting style."""
