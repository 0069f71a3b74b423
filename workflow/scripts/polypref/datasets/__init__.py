"""The preference data set of each architecture: joined, diagnosed, counted and described."""
