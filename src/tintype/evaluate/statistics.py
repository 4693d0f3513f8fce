"""How sure a mean over pictures is, and whether two methods differ. Values are one number per picture; NaN, no number, is left out.

Everything is the same for the same seed, whatever the order of the pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

#: In percent: the part of all resampled means that lies in an interval.
CONFIDENCE = 95.0
#: How many numbers are drawn at once, at most (or one round's): some 20 MB, however many pictures there are.
DRAWN = 1 << 20


@dataclass(frozen=True)
class Interval:
    """From `low` to `high`, 95 % confidence; NaN where there are fewer than two values."""

    low: float
    high: float


@dataclass(frozen=True)
class Summary:
    """Of `count` values: NaN for none."""

    mean: float
    median: float
    interval: Interval  #: of the mean
    count: int


@dataclass(frozen=True)
class Difference:
    """The mean of `count` differences, value minus baseline picture by picture; NaN for none."""

    mean: float
    interval: Interval
    p: float  #: how often chance alone would give a mean as far from 0, in (0, 1]; NaN for fewer than two
    count: int


def summary(values: NDArray[np.floating], seed: int, rounds: int = 2000) -> Summary:
    """Mean and median of values (N,), and the mean's 95 % percentile bootstrap interval (Efron 1979; Efron and Tibshirani 1993, chapter 13)."""
    kept = _sorted(np.asarray(values, np.float64))
    if not kept.size:
        return Summary(np.nan, np.nan, Interval(np.nan, np.nan), 0)
    interval = _interval(kept, rounds, np.random.default_rng(seed))
    return Summary(float(kept.mean()), float(np.median(kept)), interval, kept.size)


def paired(
    values: NDArray[np.floating], baseline: NDArray[np.floating], seed: int, rounds: int = 2000, flips: int = 10_000
) -> Difference:
    """The mean difference values - baseline, (N,) each and of the same pictures, over those where both are numbers.

    The interval is as `summary`'s. p is two-sided: the share of `flips` random choices of sign for every difference whose mean
    is as far from 0 as the true one, which itself is counted as one more (Phipson and Smyth 2010, equation 2). Raises ValueError for arrays of different length.
    """
    if np.shape(values) != np.shape(baseline):
        raise ValueError(f"{np.shape(values)} values against {np.shape(baseline)}; expected those of the same pictures")
    kept = _sorted(np.asarray(values, np.float64) - np.asarray(baseline, np.float64))
    if not kept.size:
        return Difference(np.nan, Interval(np.nan, np.nan), np.nan, 0)
    rng = np.random.default_rng(seed)
    return Difference(float(kept.mean()), _interval(kept, rounds, rng), _p(kept, flips, rng), kept.size)


def holm(p_values: Sequence[float]) -> list[float]:
    """p values adjusted for their number, in the same order (Holm 1979): below 0.05 where a family-wise error of 5 % rejects. NaN stays NaN and isn't counted."""
    p = np.asarray(p_values, np.float64)
    adjusted = np.full(p.shape, np.nan)
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]
    steps = p[order] * np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return [float(a) for a in adjusted]


def _sorted(values: Float) -> Float:
    """The numbers among values (N,) in rising order, so that the pictures' order makes no difference to what is drawn."""
    return np.sort(values[~np.isnan(values)])


def _interval(values: Float, rounds: int, rng: np.random.Generator) -> Interval:
    """Percentiles of the means of `rounds` samples of the values (N,), each of N drawn with replacement."""
    if values.size < 2:
        return Interval(np.nan, np.nan)
    means = np.empty(rounds)
    step = max(1, DRAWN // values.size)
    for start in range(0, rounds, step):
        block = means[start : start + step]
        block[:] = values[rng.integers(0, values.size, (block.size, values.size), np.int32)].mean(1)
    low, high = np.percentile(means, [50 - CONFIDENCE / 2, 50 + CONFIDENCE / 2])
    return Interval(float(low), float(high))


def _p(differences: Float, flips: int, rng: np.random.Generator) -> float:
    """Two-sided p value of the mean of differences (N,), by signs drawn at random, one bit each."""
    size, total = differences.size, differences.sum()
    if size < 2:
        return np.nan
    # Sums of the same numbers in another order may differ by rounding; they are equally far.
    limit = abs(total) - 1e-12 * np.abs(differences).sum()
    step, far = max(1, DRAWN // size), 0
    for start in range(0, flips, step):
        rows = min(step, flips - start)
        drawn = np.frombuffer(rng.bytes(rows * -(-size // 8)), np.uint8).reshape(rows, -1)
        positive = np.unpackbits(drawn, axis=1, count=size) @ differences
        far += int(np.count_nonzero(np.abs(2 * positive - total) >= limit))
    return (far + 1) / (flips + 1)
