"""Requests to models and their completions: writing requests, running engines and collecting the results."""
