"""The preference data set of each architecture: joining the texts, diagnostics, counts and the data set card."""
