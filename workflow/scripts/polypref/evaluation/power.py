"""Power of a design: the smallest difference that it detects."""

from functools import lru_cache

import numpy as np
from statsmodels.stats.power import TTestPower

ALPHA = 0.05
POWER = 0.8


@lru_cache
def _detectable_effect(clusters: float, alpha: float) -> float:
    """Smallest mean in standard deviations that a two-sided paired t-test detects with probability `POWER`."""
    return float(np.squeeze(TTestPower().solve_power(nobs=clusters, alpha=alpha, power=POWER)))


def detectable_difference(standard_error: float, clusters: int, alpha: float = ALPHA) -> float:
    """Compute the smallest true difference that a design of this size detects with a probability of 80%.

    Parameters
    ----------
    standard_error : cluster-robust standard error of the observed mean difference.
    clusters : number of independent clusters.
    alpha : significance level of the two-sided test.

    Returns
    -------
    The difference in the unit of `standard_error`; nan if there are fewer than three clusters or the error is nan. It
    is computed from the power of the paired t-test (``TTestPower`` of statsmodels) on cluster means with the standard
    deviation ``standard_error * sqrt(clusters)``.
    """
    if clusters < 3 or np.isnan(standard_error):
        return np.nan
    return _detectable_effect(clusters, alpha) * standard_error * np.sqrt(clusters)
