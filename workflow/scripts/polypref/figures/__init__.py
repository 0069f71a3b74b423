"""The figures of the report, and their style."""
