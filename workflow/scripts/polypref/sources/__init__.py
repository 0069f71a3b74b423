"""Reading, normalising and sampling preference pairs, WMT24++ segments and evaluation prompts."""
