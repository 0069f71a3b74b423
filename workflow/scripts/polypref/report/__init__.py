"""The report: static HTML pages with every table and figure of a run, readable without a web server."""
