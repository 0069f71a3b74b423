"""Resampling of whole clusters, for intervals and tests with correlated observations of one prompt or document.

Every statistic is a ratio of two sums over observations. The sums are computed once per cluster. A resample is then a
weighted sum over clusters, and all resamples of all ratios are one matrix product.
"""

from collections.abc import Callable, Iterator

import numpy as np
from scipy import stats

DRAWS = 10_000
LEVEL = 0.95
EXACT_CLUSTERS = 16
"""With up to this many clusters G, the sign-flip test enumerates all 2^G combinations of signs."""
MANY_CLUSTERS = 1000
_BLOCK_BYTES = 32_000_000
_CACHE_BYTES = 2_000_000


def cluster_sums(clusters: np.ndarray, groups: np.ndarray, values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Sum values per cluster and group.

    Parameters
    ----------
    clusters, groups : integer codes starting at 0, one per observation.
    values : (observations, k).
    shape : number of clusters and number of groups.

    Returns
    -------
    Array (clusters, groups, k).
    """
    codes, size = clusters * shape[1] + groups, shape[0] * shape[1]
    sums = [np.bincount(codes, weights=column, minlength=size) for column in np.asarray(values, dtype=float).T]
    return np.stack(sums, axis=-1).reshape(*shape, -1)


def cluster_weights(clusters: int, draws: int, seed: int, kind: type = np.int64) -> Iterator[np.ndarray]:
    """Yield how often each resample contains each cluster, in blocks (resamples, clusters); each row sums to G.

    The resamples depend only on `clusters`, `draws` and `seed`; `kind` is the data type of the counts.
    """
    rng = np.random.default_rng(seed)
    block = max(1, min(1000, _BLOCK_BYTES // (8 * clusters)))
    for start in range(0, draws, block):
        rows = min(block, draws - start)
        drawn = rng.integers(0, clusters, (rows, clusters), dtype=np.int32)
        if clusters > MANY_CLUSTERS:  # the counts of one row fit into the CPU cache, those of a block do not
            counts = np.empty((rows, clusters), dtype=kind)
            for number, row in enumerate(drawn):
                counts[number] = np.bincount(row, minlength=clusters)
            yield counts
            continue
        drawn += clusters * np.arange(rows, dtype=np.int32)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * clusters).reshape(rows, clusters).astype(kind, copy=False)


def _like_weights(copies: np.ndarray, draws: int, seed: int) -> Iterator[np.ndarray]:
    """Yield how often each resample contains each kind of cluster, given `copies` equal clusters of each kind."""
    rng, total = np.random.default_rng(seed), copies.sum()
    for start in range(0, draws, 1000):
        yield rng.multinomial(total, copies / total, min(1000, draws - start))


def _precision(sums: np.ndarray) -> type:
    """Return single precision if it is exact for every resampled sum (integers up to 2^24), else double precision."""
    most = len(sums) * np.abs(sums).max(initial=0)
    return np.float32 if most < 2**24 and (np.rint(sums) == sums).all() else np.float64


def _drawn_statistics(
    sums: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray], draws: int, seed: int
) -> Iterator[np.ndarray]:
    """Yield the resampled values of a statistic in blocks; the parameters are those of :func:`bootstrap`."""
    flat = sums.reshape(len(sums), -1)
    kind = _precision(flat)
    seen = np.flatnonzero(flat.any(axis=0))  # skip empty columns, which would cost as much as the others
    filled, weights = flat[:, seen], cluster_weights(len(sums), draws, seed, kind)
    if len(filled) > MANY_CLUSTERS:
        kinds, copies = np.unique(filled, axis=0, return_counts=True)
        if len(kinds) * 10 < len(filled):  # many equal clusters, such as single verdicts: resample kinds instead
            filled, weights = kinds, _like_weights(copies, draws, seed)
    filled = np.ascontiguousarray(filled, dtype=kind)
    rows = max(1, _CACHE_BYTES // (8 * flat.shape[1]))
    many = rows * (_BLOCK_BYTES // _CACHE_BYTES)
    for weight in weights:
        for start in range(0, len(weight), many):  # large products, because BLAS synchronises its threads after each
            product = weight[start : start + many].astype(kind, copy=False) @ filled
            for drawn in (product[part : part + rows] for part in range(0, len(product), rows)):
                values = drawn.astype(np.float64, copy=False)
                if len(seen) < flat.shape[1]:
                    values = np.zeros((len(drawn), flat.shape[1]))
                    values[:, seen] = drawn
                yield statistic(values.reshape(-1, *sums.shape[1:]))


def bootstrap(
    sums: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray], draws: int = DRAWS, seed: int = 1
) -> np.ndarray:
    """Compute a statistic of sums over clusters that are resampled with replacement.

    Parameters
    ----------
    sums : (clusters, ...), for example from :func:`cluster_sums`.
    statistic : row-wise function from (block, ...) to (block, ...), called with a block of resamples at a time.
    draws, seed : number of resamples and seed.

    Returns
    -------
    Array (draws, ...); the resamples of each value are contiguous in memory. All values of a resample are computed from
    the same clusters, so differences between them are paired.
    """
    start, found = 0, np.empty(0)
    for values in _drawn_statistics(sums, statistic, draws, seed):
        if start == 0:
            shape, found = values.shape[1:], np.empty((values[0].size, draws))
        found[:, start : start + len(values)] = values.reshape(len(values), -1).T
        start += len(values)
    return found.T.reshape(draws, *shape)


def bootstrap_variance(
    sums: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray], draws: int = DRAWS, seed: int = 1
) -> np.ndarray:
    """Compute the variance over exactly the resamples of :func:`bootstrap` without storing them."""
    count, mean, squares = 0, 0.0, 0.0
    for values in _drawn_statistics(sums, statistic, draws, seed):  # Chan, Golub and LeVeque (1983), block by block
        size, centre = len(values), values.mean(axis=0)
        apart = centre - mean
        squares = squares + ((values - centre) ** 2).sum(axis=0) + apart**2 * (count * size / (count + size))
        mean, count = mean + apart * (size / (count + size)), count + size
    return squares / (draws - 1)


def _order_statistics(rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the values at these positions of each sorted row, with nan sorted last."""
    found = np.empty((len(rows), len(places)))
    for number, row in enumerate(rows):  # one row at a time fits into the CPU cache
        row = np.partition(row, places) if len(places) <= 20 else np.sort(row)
        found[number] = row[places]
    return found


def percentile_interval(
    draws: np.ndarray, clusters: np.ndarray | int, level: float = LEVEL, freedom: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Compute bootstrap percentile intervals, widened for small numbers of clusters.

    Plain percentiles give too narrow an interval for two reasons: they correspond to a quantile of the normal instead
    of Student's t distribution, and to a variance with divisor n instead of n - 1. The expanded percentile interval of
    Hesterberg (2015), "What Teachers Should Know About the Bootstrap", The American Statistician 69(4), section 5, uses
    more extreme percentiles to correct for both.

    Parameters
    ----------
    draws : resampled values (draws, ...), as returned by :func:`bootstrap`.
    clusters : number of clusters with observations for each statistic, shape ``draws.shape[1:]`` or one number.
    level : coverage, 0 to 1.
    freedom : degrees of freedom of Student's t distribution, in the shape of `clusters`; default ``clusters - 1``. Pass
        fewer (:func:`polypref.evaluation.intervals.degrees_of_freedom`) if a few clusters contribute most of the
        variance.

    Returns
    -------
    Lower and upper ends, shape ``draws.shape[1:]``; nan if there are fewer than two clusters or a resampled value is
    nan.
    """
    shape = draws.shape[1:]
    n = np.broadcast_to(np.asarray(clusters, dtype=float), shape).ravel()
    columns = draws.reshape(len(draws), -1).T
    tail = np.full(n.shape, np.nan)
    enough = n >= 2
    df = np.broadcast_to(n.reshape(shape) - 1 if freedom is None else freedom, shape).ravel()
    tail[enough] = stats.norm.cdf(np.sqrt(n[enough] / (n[enough] - 1)) * stats.t.ppf((1 - level) / 2, df[enough]))
    # Linear interpolation between order statistics, as in numpy.quantile.
    places = [np.where(np.isnan(share), 0, share) * (len(draws) - 1) for share in (tail, 1 - tail)]
    below = [np.floor(place).astype(int) for place in places]
    above = [np.minimum(place + 1, len(draws) - 1) for place in below]
    wanted = np.unique([*below, *above, np.full(n.shape, len(draws) - 1)])
    found = _order_statistics(columns, wanted)
    rows, ends = np.arange(len(n)), []
    for place, under, over in zip(places, below, above, strict=True):
        low, high = (found[rows, np.searchsorted(wanted, at)] for at in (under, over))
        value = low + (place - under) * (high - low)
        ends.append(np.where(np.isnan(tail) | np.isnan(found[:, -1]), np.nan, value).reshape(shape))
    return ends[0], ends[1]


def ratio_error(numerators: np.ndarray, denominators: np.ndarray) -> np.ndarray:
    """Compute the cluster-robust standard error of a ratio of sums (a mean over observations).

    The ratio is linearised (Liang and Zeger 1986), with the correction G/(G - 1), where G is the number of clusters
    with observations. If every cluster is one observation, the result is the sample standard deviation (divisor n - 1)
    divided by the square root of n.

    Parameters
    ----------
    numerators, denominators : (clusters, ...).

    Returns
    -------
    Array ``numerators.shape[1:]``; nan if fewer than two clusters have observations.
    """
    groups, total = (denominators > 0).sum(axis=0), denominators.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        residuals = numerators - numerators.sum(axis=0) / total * denominators
        error = np.sqrt(groups / (groups - 1) * (residuals**2).sum(axis=0)) / total
    return np.where(groups < 2, np.nan, error)


def sign_flip_test(sums: np.ndarray, draws: int = DRAWS, seed: int = 1) -> np.ndarray:
    """Compute two-sided p-values of "the mean difference is zero" by flipping the signs of whole clusters.

    Under the null hypothesis the sum of differences of a cluster is symmetric around zero, so all combinations of signs
    are equally likely (Fisher 1935, "The Design of Experiments", section 21). With up to `EXACT_CLUSTERS` clusters
    whose sum is not zero, all combinations are enumerated and the p-value is exact. With more clusters, signs are drawn
    at random and the p-value is (1 + hits)/(1 + draws) (Phipson and Smyth 2010).

    Parameters
    ----------
    sums : (clusters, tests), sum of the paired differences of each cluster; zero if a test has none in a cluster.

    Returns
    -------
    Array (tests,), in (0, 1].
    """
    # A sum that equals the observed one except for rounding counts as equally extreme.
    least = np.abs(sums.sum(axis=0)) - 1e-9 * np.abs(sums).sum(axis=0)
    rng, hits = np.random.default_rng(seed), np.zeros(sums.shape[1], dtype=int)
    block = max(1, _BLOCK_BYTES // (8 * max(1, len(sums))))
    for start in range(0, draws, block):
        signs = rng.integers(0, 2, (min(block, draws - start), len(sums)), dtype=np.int8) * 2.0 - 1.0
        hits += (np.abs(signs @ sums) >= least).sum(axis=0)
    p = (1 + hits) / (1 + draws)
    for test in np.flatnonzero((sums != 0).sum(axis=0) <= EXACT_CLUSTERS):
        totals = np.zeros(1)
        for value in sums[sums[:, test] != 0, test]:
            totals = np.concatenate([totals + value, totals - value])
        p[test] = (np.abs(totals) >= least[test]).mean()
    return p
