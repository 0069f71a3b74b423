"""Win rates from verdicts: estimates, intervals, tests, biases of the judge."""
