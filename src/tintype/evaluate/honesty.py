"""Are class probabilities what they say? Of a network that gives each place of a picture a distribution over chroma classes.

A cell is such a place. Its truth is the class whose centre is nearest to the picture's chroma, averaged over the cell in
the picture as the network sees it. Logits are (n, K), true classes (n,).
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from tintype.picture.color import as_float, split
from tintype.picture.reduce import average

Float = NDArray[np.float32]

#: Of the expected calibration error.
BINS = 15
#: Temperatures that are looked at.
LOWEST, HIGHEST = 0.1, 10.0


@dataclass(frozen=True)
class Cells:
    """Some cells (n,): `logits` (n, K), `truth` (n,), the true class, and `picture` (n,), whose they are."""

    logits: Float
    truth: NDArray[np.int64]
    picture: NDArray[np.int64]

    def of(self, pictures: Collection[int]) -> Cells:
        """Those of some pictures."""
        there = np.isin(self.picture, list(pictures))
        return Cells(self.logits[there], self.truth[there], self.picture[there])


@dataclass(frozen=True)
class Honesty:
    """How far the probabilities of some cells at one temperature are what they say."""

    temperature: float
    nll: float  #: see `nll`
    right: float  #: share of the cells whose top class, the likeliest, is the true one
    told: float  #: mean probability of the top class: what `right` should be
    ece: float  #: see `honesty`, as the next one
    cumulative: float
    #: (BINS, 3), by the top class's probability: share of the cells, `told` and `right` of those
    bins: NDArray[np.float64]
    #: (n,), rising: of each cell, what is likelier than its truth; even over [0, 1] if honest
    ranks: NDArray[np.float64]


def halves(cells: Cells, seed: int) -> tuple[Cells, Cells]:
    """The cells of two halves of the pictures, drawn by the seed."""
    pictures = np.random.default_rng([seed, 5]).permutation(np.unique(cells.picture))
    middle = len(pictures) // 2
    return cells.of(pictures[:middle]), cells.of(pictures[middle:])


def fitted(cells: Cells) -> float:
    """The temperature with the least `nll`."""
    bounds = (math.log(LOWEST), math.log(HIGHEST))
    found = minimize_scalar(lambda heat: nll(cells, math.exp(heat)), bounds=bounds, method="bounded")
    return math.exp(found.x)


def nll(cells: Cells, temperature: float) -> float:
    """Mean negative log likelihood of the truth, in nats."""
    log_p = _log_p(cells.logits, temperature)
    return -float(np.take_along_axis(log_p, cells.truth[:, None], 1).mean(dtype=np.float64))


def honesty(cells: Cells, temperature: float, seed: int) -> Honesty:
    """Calibration at a temperature: two errors, 0 to 1, lower is better.

    `ece`: the expected calibration error of Guo, Pleiss, Sun, Weinberger 2017, equation 3: the top class's probability
    against how often it is right, in 15 equal bins. With many classes the top one says little, so `cumulative` looks at
    all: the likeliest classes that hold x of the probability should hold x of the truths; it is the largest
    difference for any x (Kolmogorov's distance of `ranks`, which the seed spreads within a class's own share).
    """
    p = np.exp(_log_p(cells.logits, temperature))
    top, right = p.max(1), p.argmax(1) == cells.truth
    bins = np.minimum((top * BINS).astype(np.int64), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    told, was = (np.bincount(bins, values, BINS) / np.maximum(counts, 1) for values in (top, right))
    own = np.take_along_axis(p, cells.truth[:, None], 1)
    within = np.random.default_rng([seed, 7]).random(len(p))
    ranks = np.sort((p * (p > own)).sum(1) + within * (p * (p == own)).sum(1)).astype(np.float64)
    return Honesty(
        temperature,
        nll(cells, temperature),
        float(right.mean()),
        float(top.mean()),
        float((counts * np.abs(told - was)).sum() / len(p)),
        float(np.abs(ranks - (np.arange(len(p)) + 0.5) / len(p)).max()),
        np.stack([counts / len(p), told, was], 1),
        ranks,
    )


def true_chroma(rgb: NDArray[np.uint8], seen: tuple[int, int], stride: int) -> Float:
    """Chroma (h/s, w/s, 2) of a picture (H, W, 3) seen in the size (h, w), averaged over cells of s x s; its edge is repeated, as the network sees it."""
    chroma = split(as_float(rgb))[1]
    planes = np.stack([average(np.ascontiguousarray(chroma[..., k]), seen) for k in range(2)])
    filled = np.pad(planes, ((0, 0), (0, -seen[0] % stride), (0, -seen[1] % stride)), mode="edge")
    height, width = filled.shape[1] // stride, filled.shape[2] // stride
    means = filled.reshape(2, height, stride, width, stride).mean((2, 4))
    return np.ascontiguousarray(np.moveaxis(means, 0, -1), np.float32)


def nearest(chroma: Float, centres: Float) -> NDArray[np.int64]:
    """The class (n,) whose centre, of (K, 2), is nearest to each chroma (n, 2)."""
    classes: NDArray[np.int64] = ((chroma[:, None] - centres) ** 2).sum(-1).argmin(1)
    return classes


def _log_p(logits: Float, temperature: float) -> Float:
    """Logarithms of the probabilities (n, K) at a temperature."""
    scaled = (logits - logits.max(-1, keepdims=True)) / np.float32(temperature)
    return np.asarray(scaled - np.log(np.exp(scaled).sum(-1, keepdims=True)), np.float32)
