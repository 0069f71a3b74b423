"""The report: static pages with every table and figure of a run, which work from a local file."""
