"""Resampling of whole clusters, for intervals and tests when observations of one prompt or document are alike.

Everything is a ratio of two sums over observations. The sums are taken per cluster once; a draw then is a weighted sum
of clusters, and all draws of all ratios are one matrix product.
"""

from collections.abc import Callable, Iterator

import numpy as np
from scipy import stats

DRAWS = 10_000
LEVEL = 0.95
EXACT_CLUSTERS = 16
"""Up to this many clusters all 2^G signs are tried."""
MANY_CLUSTERS = 1000
_BLOCK_BYTES = 32_000_000
_CACHE_BYTES = 2_000_000


def cluster_sums(clusters: np.ndarray, groups: np.ndarray, values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Sum of values per cluster and group.

    Parameters
    ----------
    clusters, groups : codes from 0, one per observation.
    values : (observations, k).
    shape : number of clusters and of groups.

    Returns
    -------
    Array (clusters, groups, k).
    """
    codes, size = clusters * shape[1] + groups, shape[0] * shape[1]
    sums = [np.bincount(codes, weights=column, minlength=size) for column in np.asarray(values, dtype=float).T]
    return np.stack(sums, axis=-1).reshape(*shape, -1)


def cluster_weights(clusters: int, draws: int, seed: int, kind: type = np.int64) -> Iterator[np.ndarray]:
    """How often each cluster comes in each draw with replacement: blocks of rows (draws, clusters), each summing to G.

    The draws depend on `clusters`, `draws` and `seed` alone; `kind` is the type of the counts.
    """
    rng = np.random.default_rng(seed)
    block = max(1, min(1000, _BLOCK_BYTES // (8 * clusters)))
    for start in range(0, draws, block):
        rows = min(block, draws - start)
        drawn = rng.integers(0, clusters, (rows, clusters), dtype=np.int32)
        if clusters > MANY_CLUSTERS:  # one row's counts fit the processor's cache, a block's do not
            counts = np.empty((rows, clusters), dtype=kind)
            for number, row in enumerate(drawn):
                counts[number] = np.bincount(row, minlength=clusters)
            yield counts
            continue
        drawn += clusters * np.arange(rows, dtype=np.int32)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * clusters).reshape(rows, clusters).astype(kind, copy=False)


def _like_weights(copies: np.ndarray, draws: int, seed: int) -> Iterator[np.ndarray]:
    """The same for clusters that come in kinds of `copies` equal ones: how often each kind is drawn."""
    rng, total = np.random.default_rng(seed), copies.sum()
    for start in range(0, draws, 1000):
        yield rng.multinomial(total, copies / total, min(1000, draws - start))


def _precision(sums: np.ndarray) -> type:
    """Single precision where it holds every drawn sum exactly (whole counts up to 2^24), else double."""
    most = len(sums) * np.abs(sums).max(initial=0)
    return np.float32 if most < 2**24 and (np.rint(sums) == sums).all() else np.float64


def _drawn_statistics(
    sums: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray], draws: int, seed: int
) -> Iterator[np.ndarray]:
    """Blocks of draws of a statistic, as in :func:`bootstrap`."""
    flat = sums.reshape(len(sums), -1)
    kind = _precision(flat)
    seen = np.flatnonzero(flat.any(axis=0))  # columns in which nothing was seen would cost as much as others
    filled, weights = flat[:, seen], cluster_weights(len(sums), draws, seed, kind)
    if len(filled) > MANY_CLUSTERS:
        kinds, copies = np.unique(filled, axis=0, return_counts=True)
        if len(kinds) * 10 < len(filled):  # many clusters alike, as single verdicts are: draw kinds instead
            filled, weights = kinds, _like_weights(copies, draws, seed)
    filled = np.ascontiguousarray(filled, dtype=kind)
    rows = max(1, _CACHE_BYTES // (8 * flat.shape[1]))
    many = rows * (_BLOCK_BYTES // _CACHE_BYTES)
    for weight in weights:
        for start in range(0, len(weight), many):  # large products: BLAS's threads wait for each other after each one
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
    """A statistic of sums over clusters drawn with replacement.

    Parameters
    ----------
    sums : (clusters, ...), for example from :func:`cluster_sums`.
    statistic : from (block, ...) to (block, ...), row by row; it is called with a block of draws at a time.

    Returns
    -------
    Array (draws, ...), the draws of a value beside each other in memory. All cells of a draw share its clusters, so
    that differences between them are paired.
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
    """Variance over the very draws of :func:`bootstrap`, without keeping them: shape of the statistic."""
    count, mean, squares = 0, 0.0, 0.0
    for values in _drawn_statistics(sums, statistic, draws, seed):  # Chan, Golub and LeVeque (1983), block by block
        size, centre = len(values), values.mean(axis=0)
        apart = centre - mean
        squares = squares + ((values - centre) ** 2).sum(axis=0) + apart**2 * (count * size / (count + size))
        mean, count = mean + apart * (size / (count + size)), count + size
    return squares / (draws - 1)


def _order_statistics(rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The values that would stand at these places if each row were sorted, nan last."""
    found = np.empty((len(rows), len(places)))
    for number, row in enumerate(rows):  # one at a time: it fits the processor's cache
        row = np.partition(row, places) if len(places) <= 20 else np.sort(row)
        found[number] = row[places]
    return found


def percentile_interval(
    draws: np.ndarray, clusters: np.ndarray | int, level: float = LEVEL, freedom: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Bootstrap percentile interval, widened for few clusters.

    Percentiles of the draws are too narrow by the factor that a normal quantile lacks to Student's and a variance over
    n to one over n - 1. The expanded percentile interval of Hesterberg (2015), "What Teachers Should Know About the
    Bootstrap", The American Statistician 69(4), section 5, takes percentiles further out to make up for both.

    Parameters
    ----------
    draws : (draws, ...).
    clusters : how many clusters each statistic has, shape ``draws.shape[1:]`` or one number.
    level : coverage, 0 to 1.
    freedom : degrees of freedom of Student's quantile, of the shape of `clusters`; ``clusters - 1`` when None. Fewer
        (:func:`polypref.evaluation.intervals.degrees_of_freedom`) where few clusters make the variance.

    Returns
    -------
    Lower and upper ends, shape ``draws.shape[1:]``; nan where there are fewer than two clusters or a draw is nan.
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
    """Cluster-robust standard error of a ratio of sums (a mean over observations).

    Linearised (Liang and Zeger 1986), with the correction G/(G - 1) where G counts the clusters with observations.
    Where every cluster is one observation this is the standard deviation (n - 1) over the root of n.

    Parameters
    ----------
    numerators, denominators : (clusters, ...).

    Returns
    -------
    Array ``numerators.shape[1:]``, nan where fewer than two clusters have observations.
    """
    groups, total = (denominators > 0).sum(axis=0), denominators.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        residuals = numerators - numerators.sum(axis=0) / total * denominators
        error = np.sqrt(groups / (groups - 1) * (residuals**2).sum(axis=0)) / total
    return np.where(groups < 2, np.nan, error)


def sign_flip_test(sums: np.ndarray, draws: int = DRAWS, seed: int = 1) -> np.ndarray:
    """Two-sided p-values of "the mean difference is zero" by flipping the signs of whole clusters.

    Under the null hypothesis a cluster's sum of differences is symmetric around zero, so that every choice of signs is
    equally likely (Fisher 1935, "The Design of Experiments", section 21). With up to `EXACT_CLUSTERS` clusters that
    differ from zero all signs are tried and the p-value is exact; otherwise it is (1 + hits)/(1 + draws) over random
    signs (Phipson and Smyth 2010).

    Parameters
    ----------
    sums : (clusters, tests), sum of the paired differences of each cluster; zero where a test has none of a cluster.

    Returns
    -------
    Array (tests,), in (0, 1].
    """
    # Sums that are equal but for rounding are as extreme as the observed one.
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
