"""Is one model better than another beyond chance? A paired bootstrap over per-example rows.

One job: numbers in, intervals and p-values out. It knows no run and no file. NumPy at module level is allowed
here; SciPy is imported where it serves. The formulas are in docs/design/0005-evaluation.md.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import NormalDist
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from weighbridge.domain.comparison import Interval
from weighbridge.errors import InvalidInput, UsageError

Floats = NDArray[np.float64]
Rows = Sequence[Mapping[str, object]] | Mapping[str, Sequence[object]]
"""Per-example rows: a list of mappings, or columns of equal length."""

MIN_RESAMPLES, MAX_RESAMPLES = 100, 1_000_000
MAX_ROWS = 50_000_000
MAX_DISTINCT = 256
"""Up to so many distinct differences, a resample is drawn as counts of each (0/1 correctness: three)."""

_CHUNK = 2_000
"""Resamples under way at once in a thread; it fixes the streams of chance, so the result hangs on it."""

_BLOCK = 256
"""Rows of a block, so that 16 random bits draw two of them and a table of 65,536 sums adds them."""


class BootstrapResult(msgspec.Struct, frozen=True, kw_only=True):
    """delta: statistic of b less that of a. low, high: its confidence interval. p_value: two-sided, never 0.

    n: pairs used. dropped: pairs with a value that is not finite; dropped_b: those of them where only b's is.
    check_p_value: of the paired t-test, to hold beside it; None where not defined or SciPy is missing.
    """

    delta: float
    low: float
    high: float
    p_value: float
    n: int
    resamples: int
    confidence: float
    method: str
    seed: int
    dropped: int = 0
    dropped_b: int = 0
    check_p_value: float | None = None


class RowComparison(msgspec.Struct, frozen=True, kw_only=True):
    """An interval per numeric column both sides have, and how many examples were paired or left alone."""

    intervals: tuple[Interval, ...]
    paired: int
    only_baseline: int
    only_candidate: int


def paired_bootstrap(
    a: ArrayLike,
    b: ArrayLike,
    *,
    statistic: Literal["mean", "median"] = "mean",
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int,
) -> BootstrapResult:
    """`statistic(b) - statistic(a)` of paired values, how sure it is, and whether chance explains it.

    a, b: one value per example, in the same order. The same seed gives the same result to the last bit,
    whatever the number of cores. Pairs with NaN or an infinity are dropped and counted. The interval is BCa
    (Efron 1987); the p-value shifts the bootstrap distribution to no difference (Efron and Tibshirani 1993,
    ch. 16; Koehn 2004) and is (k + 1) / (resamples + 1). Raises InvalidInput for fewer than two pairs.
    """
    _check_arguments(resamples, confidence, seed)
    left, right = _vector(a, "a"), _vector(b, "b")
    if left.shape != right.shape:
        raise InvalidInput(
            f"The rows cannot be paired: a has {left.size} values and b has {right.size}.",
            hint="Pair them by example id first; compare_rows() does.",
        )
    is_left, is_right = np.isfinite(left), np.isfinite(right)
    keep = is_left & is_right
    left, right = left[keep], right[keep]
    if left.size < 2:
        raise InvalidInput(
            f"Only {left.size} of {keep.size} pairs have finite values on both sides; a bootstrap needs 2.",
            hint="Score more examples, or find out why values are NaN.",
        )
    differences = right - left
    if float(differences.min()) == float(differences.max()):
        delta, low, high, p_value, method = _constant(float(differences[0]), resamples)
    elif statistic == "mean":
        delta, low, high, p_value, method = _mean(differences, resamples, confidence=confidence, seed=seed)
    elif statistic == "median":
        delta, low, high, p_value, method = _median(left, right, resamples, confidence=confidence, seed=seed)
    else:
        raise InvalidInput(f"statistic={statistic!r} is not known.", hint="Use 'mean' or 'median'.")
    return BootstrapResult(
        delta=delta,
        low=low,
        high=high,
        p_value=p_value,
        n=int(left.size),
        resamples=resamples,
        confidence=confidence,
        method=method,
        seed=seed,
        dropped=int(keep.size - left.size),
        dropped_b=int((is_left & ~is_right).sum()),
        check_p_value=_t_test(differences),
    )


def compare_rows(
    baseline: Rows,
    candidate: Rows,
    *,
    key: str = "example_id",
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> RowComparison:
    """An interval for the mean of every numeric column that both models' rows hold, paired by example id.

    A column counts when every value on both sides is a number, a boolean or missing (None). Each column
    draws from a stream of its own, made of `seed` and its name. Raises InvalidInput for a missing or repeated
    id, and when fewer than two examples are shared. Intervals are not adjusted for there being several.
    """
    old, new = _columns(baseline, "baseline"), _columns(candidate, "candidate")
    old_at, new_at = _positions(old, key, "baseline"), _positions(new, key, "candidate")
    shared = [example for example in new_at if example in old_at]
    if len(shared) < 2:
        raise InvalidInput(
            f"The two sets of rows share {len(shared)} values of {key!r}; a paired comparison needs 2.",
            hint="Score both models on the same dataset version, with the same ids.",
        )
    old_rows = [old_at[example] for example in shared]
    new_rows = [new_at[example] for example in shared]
    intervals = []
    for name in new:
        if name == key or name not in old:
            continue
        left, right = _numeric(old[name], old_rows), _numeric(new[name], new_rows)
        if left is None or right is None or int((np.isfinite(left) & np.isfinite(right)).sum()) < 2:
            continue
        own_seed = (seed << 32) | zlib.crc32(name.encode("utf-8", "surrogatepass"))
        result = paired_bootstrap(left, right, resamples=resamples, confidence=confidence, seed=own_seed)
        intervals.append(_interval(name, result))
    return RowComparison(
        intervals=tuple(intervals),
        paired=len(shared),
        only_baseline=len(old_at) - len(shared),
        only_candidate=len(new_at) - len(shared),
    )


def _interval(name: str, result: BootstrapResult) -> Interval:
    return Interval(
        metric=name,
        delta=result.delta,
        low=result.low,
        high=result.high,
        confidence=result.confidence,
        p_value=result.p_value,
        n=result.n,
        resamples=result.resamples,
        method=result.method,
        seed=result.seed,
        dropped=result.dropped,
        dropped_candidate=result.dropped_b,
    )


def _check_arguments(resamples: int, confidence: float, seed: int) -> None:
    if not MIN_RESAMPLES <= resamples <= MAX_RESAMPLES:
        raise InvalidInput(
            f"resamples={resamples} is outside {MIN_RESAMPLES} to {MAX_RESAMPLES}.", hint="10,000 is usual."
        )
    if not 0.5 <= confidence < 1:
        raise InvalidInput(f"confidence={confidence} is outside 0.5 to 1.", hint="0.95 is usual.")
    if seed < 0:
        raise InvalidInput(f"seed={seed} is negative.", hint="Give a whole number of 0 or more.")


def _vector(values: ArrayLike, name: str) -> Floats:
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1 or vector.size > MAX_ROWS:
        raise InvalidInput(
            f"{name} has shape {vector.shape}; one value per example is needed, at most {MAX_ROWS}.",
            hint="Pass a flat list or array.",
        )
    return vector


def _constant(delta: float, resamples: int) -> tuple[float, float, float, float, str]:
    """Every pair differs alike, so no resample can differ from another."""
    return delta, delta, delta, (1.0 if delta == 0 else 1 / (resamples + 1)), "constant"


def _mean(
    differences: Floats, resamples: int, *, confidence: float, seed: int
) -> tuple[float, float, float, float, str]:
    delta = float(differences.mean())
    centred = differences - delta
    deviations = _mean_deviations(centred, resamples, seed)
    # A resample as far from the middle as the middle is from zero speaks for chance. The factor keeps ties of
    # lattice-valued differences ties, which rounding would otherwise split.
    extreme = int(np.count_nonzero(np.abs(deviations) >= abs(delta) * (1 - 1e-9)))
    # Acceleration of the mean: the jackknife's, in closed form (Efron and Tibshirani 1993, eq. 14.15).
    spread = float((centred**2).sum())
    acceleration = float((centred**3).sum()) / (6 * spread**1.5)
    low, high = _bca(deviations, confidence, acceleration)
    return delta, delta + low, delta + high, (extreme + 1) / (resamples + 1), "bca mean"


def _bca(deviations: Floats, confidence: float, acceleration: float) -> tuple[float, float]:
    """Bias-corrected and accelerated ends (Efron 1987), of resampled statistics less the observed one."""
    normal = NormalDist()
    least = 0.5 / deviations.size
    below = float((deviations < 0).mean() + (deviations <= 0).mean()) / 2
    bias = normal.inv_cdf(min(max(below, least), 1 - least))
    ends: list[float] = []
    for tail in ((1 - confidence) / 2, (1 + confidence) / 2):
        shifted = bias + normal.inv_cdf(tail)
        ends.append(normal.cdf(bias + shifted / (1 - acceleration * shifted)))
    quantiles = np.quantile(deviations, ends)
    return float(quantiles[0]), float(quantiles[1])


def _mean_deviations(centred: Floats, resamples: int, seed: int) -> Floats:
    """For each resample, its mean less the observed mean: exact draws of n rows with replacement.

    Memory is bounded by chunks of resamples, each with a stream of its own, so threads change nothing.
    """
    values, counts = np.unique(centred, return_counts=True)
    starts = range(0, resamples, _CHUNK)
    streams = np.random.SeedSequence(seed).spawn(len(starts))
    blocks = None if values.size <= MAX_DISTINCT else centred

    def draw(place: int) -> Floats:
        generator = np.random.Generator(np.random.SFC64(streams[place]))
        size = min(_CHUNK, resamples - starts[place])
        if blocks is None:
            shares = counts / centred.size
            picked = generator.multinomial(centred.size, shares, size=size)
            sums: Floats = picked @ values
            return sums
        return _block_sums(blocks, generator, size)

    with ThreadPoolExecutor(max_workers=max(1, min(4, os.cpu_count() or 1, len(starts)))) as pool:
        sums = np.concatenate(list(pool.map(draw, range(len(starts)))))
    return sums / centred.size


def _block_sums(rows: Floats, generator: np.random.Generator, size: int) -> Floats:
    """Sums of n draws with replacement from n rows, `size` times, block by block.

    How many of the n draws fall into each block is multinomial; within a block they are uniform and
    independent. So this is the plain bootstrap, in another order, with two rows per table look-up.
    """
    lengths = [min(_BLOCK, rows.size - start) for start in range(0, rows.size, _BLOCK)]
    sums = np.zeros(size)
    left = np.full(size, rows.size)
    rest = rows.size
    for place, length in enumerate(lengths):
        # A multinomial is a chain of binomials; one at a time keeps the counts of one block in memory.
        picked = generator.binomial(left, length / rest) if length < rest else left
        left = left - picked
        rest -= length
        block = rows[place * _BLOCK : place * _BLOCK + length]
        if length < _BLOCK:
            odd = picked
        else:
            pairs = picked // 2
            table = np.add.outer(block, block).ravel()
            raw = generator.bit_generator.random_raw(int(pairs.sum()) // 4 + 1)
            codes = np.asarray(raw, dtype=np.uint64).view(np.uint16)[: int(pairs.sum())]
            sums += _segment_sums(table, codes.astype(np.intp), pairs)
            odd = picked % 2
        singles = generator.integers(0, length, size=int(odd.sum()), dtype=np.intp)
        sums += _segment_sums(block, singles, odd)
    return sums


def _segment_sums(values: Floats, codes: NDArray[np.intp], lengths: NDArray[np.int64]) -> Floats:
    """Sums of values[codes] over consecutive segments of the given lengths, of which some may be 0."""
    sums = np.zeros(lengths.size)
    filled = lengths > 0
    if filled.any():
        ends = np.cumsum(lengths[filled])
        # Codes are in range by construction; `clip` spares the check and its buffer.
        sums[filled] = np.add.reduceat(values.take(codes, mode="clip"), ends - lengths[filled])
    return sums


def _median(
    left: Floats, right: Floats, resamples: int, *, confidence: float, seed: int
) -> tuple[float, float, float, float, str]:
    try:
        from scipy import stats
    except ImportError as error:
        raise UsageError(
            "The bootstrap of a median needs SciPy, which is not installed.",
            hint="pip install 'weighbridge[evaluation]'",
        ) from error

    def difference(x: Floats, y: Floats, axis: int = -1) -> Floats:
        found: Floats = np.median(y, axis=axis) - np.median(x, axis=axis)
        return found

    delta = float(difference(left, right))
    found = stats.bootstrap(
        (left, right),
        difference,
        paired=True,
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, 4_000_000 // left.size),
        confidence_level=confidence,
        method="percentile",  # the jackknife that BCa needs is not consistent for a median
        rng=np.random.default_rng(seed),
    )
    shifted = np.abs(found.bootstrap_distribution - delta)
    p_value = (int(np.count_nonzero(shifted >= abs(delta) * (1 - 1e-9))) + 1) / (resamples + 1)
    ends = found.confidence_interval
    return delta, float(ends.low), float(ends.high), p_value, "percentile median"


def _t_test(differences: Floats) -> float | None:
    """The p-value of the paired t-test (Student 1908), a check on the bootstrap's; None if not defined."""
    error = float(differences.std(ddof=1)) / float(np.sqrt(differences.size))
    if error == 0:
        return None
    try:
        from scipy.special import stdtr
    except ImportError:
        return None
    return float(2 * stdtr(differences.size - 1, -abs(float(differences.mean())) / error))


def _columns(rows: Rows, side: str) -> dict[str, Sequence[object]]:
    if isinstance(rows, Mapping):
        if len({len(column) for column in rows.values()}) > 1:
            raise InvalidInput(f"The {side}'s columns differ in length.", hint="Give each example a value.")
        return dict(rows)
    names = {name: None for row in rows for name in row}
    return {name: [row.get(name) for row in rows] for name in names}


def _positions(columns: Mapping[str, Sequence[object]], key: str, side: str) -> dict[object, int]:
    if key not in columns:
        raise InvalidInput(
            f"The {side}'s rows have no column {key!r} to pair by.",
            hint=f"Return an id for each example, or name its column with key=: {sorted(columns)[:10]}.",
        )
    positions: dict[object, int] = {}
    for place, example in enumerate(_plain(columns[key])):
        if example is None or example != example:
            raise InvalidInput(f"Row {place} of the {side} has no {key!r}.", hint="Give every row an id.")
        if positions.setdefault(example, place) != place:
            raise InvalidInput(f"The {side}'s rows hold {key} {example!r} twice.", hint="Ids must be unique.")
    return positions


def _plain(column: Sequence[object]) -> Iterator[object]:
    """Values that can be dictionary keys alike on both sides: NumPy scalars become Python's."""
    for value in column:
        item = getattr(value, "item", None)
        plain: object = item() if callable(item) else value
        try:
            hash(plain)
        except TypeError as error:
            raise InvalidInput(
                f"An example id is a {type(plain).__name__}, which cannot be paired.",
                hint="Use numbers or text as ids.",
            ) from error
        yield plain


def _numeric(column: Sequence[object], places: Sequence[int]) -> Floats | None:
    """The column at these places as floats, missing as NaN; None if it holds anything but numbers."""
    picked = [column[place] for place in places]
    if not all(
        value is None or isinstance(value, (bool, int, float, np.number, np.bool_)) for value in picked
    ):
        return None
    return np.array([np.nan if value is None else value for value in picked], dtype=np.float64)
