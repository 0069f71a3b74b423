"""Win rates from verdicts: estimates, confidence intervals, significance tests and biases of the judge."""
