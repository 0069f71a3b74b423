"""Preference pairs, WMT24++ segments and evaluation prompts: read, normalised and sampled."""
