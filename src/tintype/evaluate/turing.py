"""A machine's Turing test: can a classifier that looks at colour alone tell results from originals?

It learns from some pictures and is asked about others, so that it can't know a picture by heart; both versions of a
picture are always on the same side. 0.5 is a coin's answer, 1 is always right: for a method lower is better. It is a lower
limit: a better classifier, or a better look, may tell apart what this one can't.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tintype.evaluate.metrics import colourfulness, lab
from tintype.picture.picture import reduced_size
from tintype.picture.reduce import average

RGB = NDArray[np.uint8]
Float = NDArray[np.float32]
Doubles = NDArray[np.float64]

#: Pictures are first reduced to this many pixels: colour is coarse, and what JPEG left in the originals is averaged away.
LONGEST = 128
#: Middles of the three ranges of L*, and the histogram's places in a and in b: denser near grey, where most colours are.
RANGES = (20.0, 50.0, 80.0)
PLACES = (-40.0, -20.0, -8.0, 0.0, 8.0, 20.0, 40.0)
HUES = 12
#: Of chroma, as shares.
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.9, 0.97)
#: How many sizes of the picture edges are looked at in, each half the one before.
SCALES = 4
#: How many of `describe`'s numbers, the first, would stay the same if the picture's pixels were shuffled.
PALETTE = 206
#: With fewer pictures there is no verdict.
FEWEST = 20
#: The classifier's freedom (scikit-learn's C) times the number of descriptors, so that it is as free with many as with few.
FREEDOM = 25.0
#: Descriptors count up to this many deviations from their mean: a single odd picture mustn't rule.
FARTHEST = 6.0
#: Below every difference in ab that means anything: keeps quotients and logarithms of grey pictures finite.
FAINT = 0.05


@dataclass(frozen=True)
class Verdict:
    """Area under the ROC curve, 0.5 (can't tell) to 1 (always right), its 95 % interval, and of how many pictures; NaN for too few."""

    auc: float
    low: float
    high: float
    count: int


def describe(rgb: RGB) -> Float:
    """242 finite numbers on the colours of a picture (H, W, 3) of any size; luma counts only as what colour goes along with."""
    size = reduced_size((rgb.shape[0], rgb.shape[1]), LONGEST)
    small = np.rint(np.stack([average(rgb[..., k], size) for k in range(3)], -1)).astype(np.uint8)
    planes = np.ascontiguousarray(np.moveaxis(lab(small), -1, 0))
    light, a, b = planes.reshape(3, -1)
    parts = [_places(light, a, b), _strength(light, a, b), _hues(a, b), _relations(light, a, b), _edges(planes)]
    return np.concatenate([[colourfulness(small)], *parts]).astype(np.float32)


def told_apart(originals: Float, results: Float, seed: int, folds: int = 5, most: int = 2000) -> Verdict:
    """How well descriptors of originals (N, D) are told from those of results (N, D); row by row the same pictures.

    Logistic regression on standardised descriptors, asked about each fold after learning from the others; the AUC is
    the mean of the folds'. Of more than `most` pictures only so many, drawn by `seed`, take part. The interval is
    that of cross-validated AUCs (LeDell, Petersen, van der Laan 2015) with a picture's two versions as one draw, on the
    logit's scale, widened because the folds' training overlaps (Nadeau, Bengio 2003). Needs scikit-learn. Raises ValueError for arrays of different shape.
    """
    if originals.shape != results.shape:
        raise ValueError(f"{originals.shape} originals against {results.shape} results; expected the same pictures")
    order = np.random.default_rng(seed).permutation(len(originals))[:most]
    if len(order) < FEWEST:
        return Verdict(np.nan, np.nan, np.nan, len(order))
    known, made = originals[order], results[order]
    aucs, shifts = np.empty(folds), np.empty(len(order))
    for k in range(folds):
        asked = np.arange(len(order)) % folds == k
        scores = _scores(known[~asked], made[~asked], np.concatenate([known[asked], made[asked]]))
        aucs[k], shifts[asked] = _auc(*np.split(scores, 2))
    auc = float(aucs.mean())
    # Without it 82 to 89 of 100 intervals held 0.5 where there was nothing to tell; with it 95 or more do.
    overlap = (1 + folds / (folds - 1)) ** 0.5
    return Verdict(auc, *_interval(auc, overlap * float(shifts.std(ddof=1)), len(order)), len(order))


def _scores(originals: Float, results: Float, asked: Float) -> Doubles:
    """How much like a result each of `asked` (M, D) looks to a classifier that has seen originals and results, (n, D) each."""
    from sklearn.linear_model import LogisticRegression  # of the extra `train`: describing needs none

    seen = np.concatenate([originals, results]).astype(np.float64)
    mean, deviation = seen.mean(0), seen.std(0) + 1e-6

    def standard(descriptors: NDArray[np.floating]) -> Doubles:
        return np.asarray(np.clip((descriptors - mean) / deviation, -FARTHEST, FARTHEST), np.float64)

    classifier = LogisticRegression(C=FREEDOM / seen.shape[1], max_iter=300)
    classifier.fit(standard(seen), np.repeat([0, 1], len(originals)))
    return np.asarray(classifier.decision_function(standard(asked)), np.float64)


def _auc(originals: Doubles, results: Doubles) -> tuple[float, Doubles]:
    """How often a result's score is above an original's, ties half, (n,) each; and how each picture shifts that (n,), about 0 (DeLong 1988)."""
    above = (results[:, None] > originals) + 0.5 * (results[:, None] == originals)
    auc = above.mean()
    return float(auc), above.mean(0) + above.mean(1) - 2 * auc


def _interval(auc: float, deviation: float, count: int) -> tuple[float, float]:
    """95 % around `auc`, whose standard error is deviation / sqrt(count), within [0, 1]."""
    if auc in (0, 1):  # no error among n pictures: an exact binomial limit (Clopper, Pearson 1934) of one error in each
        limit = 0.025 ** (1 / count)
        return (limit, 1.0) if auc else (0.0, 1 - limit)
    centre = np.log(auc / (1 - auc))
    reach = 1.96 * deviation / np.sqrt(count) / (auc * (1 - auc))
    low, high = 1 / (1 + np.exp(-np.array([centre - reach, centre + reach])))
    return float(low), float(high)


def _shares(values: Float, places: tuple[float, ...]) -> Float:
    """How much of each value (n,) lies at each of `places` (k,), rising: (k, n), linear between two of them, columns sum to 1."""
    at = np.clip(values, places[0], places[-1])
    edges = (2 * places[0] - places[1], *places, 2 * places[-1] - places[-2])
    rows = [
        np.minimum((at - left) / (middle - left), (right - at) / (right - middle))
        for left, middle, right in zip(edges, edges[1:], edges[2:], strict=False)
    ]
    return np.asarray(np.maximum(np.stack(rows), 0), np.float32)


def _places(light: Float, a: Float, b: Float) -> Float:
    """The soft histogram of ab in each range of lightness (147,), as roots: a rare colour tells as much as a common one."""
    in_a, in_b = _shares(a, PLACES), _shares(b, PLACES)
    shares = [(in_a * weight) @ in_b.T for weight in _shares(light, RANGES)]
    return np.sqrt(np.stack(shares).ravel() / len(light))


def _strength(light: Float, a: Float, b: Float) -> Float:
    """How strong colour is and which is common, over the whole picture and in each range of lightness (34,)."""
    chroma = np.hypot(a, b)
    quantiles = np.quantile(chroma, QUANTILES).astype(np.float32)
    whole = np.array([f(x) for x in (chroma, a, b, light) for f in (np.mean, np.std)])
    weights = _shares(light, RANGES)
    means = np.stack([a, b, chroma, chroma**2]) @ weights.T / (weights.sum(1) + 1e-3 * len(light))
    means[3] = np.sqrt(np.maximum(means[3] - means[2] ** 2, 0))
    return np.concatenate([whole, np.log1p(whole[:2]), quantiles, np.log1p(quantiles), means.ravel()])


def _hues(a: Float, b: Float) -> Doubles:
    """How much chroma each of 12 hues has, as roots; their entropy; the largest share (14,)."""
    hue = np.floor(np.arctan2(b, a) * (HUES / (2 * np.pi))).astype(np.int64) % HUES
    shares = np.bincount(hue, np.hypot(a, b) + FAINT, HUES) + FAINT
    shares /= shares.sum()
    return np.concatenate([np.sqrt(shares), [-np.sum(shares * np.log(shares)), shares.max()]])


def _relations(light: Float, a: Float, b: Float) -> Doubles:
    """Correlations of lightness, a and b; the share of each's variance that lightness explains; how far ab is one line (10,)."""
    chroma = np.hypot(a, b)
    level = np.clip(light * 0.16, 0, 15).astype(np.int64)
    many = np.maximum(np.bincount(level, minlength=16), 1)
    explained = []
    for plane in (a, b, chroma):
        means = np.bincount(level, plane, 16) / many
        explained.append(np.mean((means[level] - plane.mean()) ** 2) / (plane.var() + FAINT))
    spread = np.linalg.eigvalsh(np.cov(np.stack([a, b]), bias=True))
    pairs = [_together(x, y) for x, y in ((light, chroma), (light, a), (light, b), (a, b))]
    return np.array([*pairs, *explained, *np.log1p(np.maximum(spread, 0)), spread[0] / (spread[1] + FAINT)])


def _together(x: Float, y: Float) -> float:
    """Correlation of x and y (n,); 0 where one of them hardly varies."""
    return float(np.mean((x - x.mean()) * (y - y.mean())) / (x.std() * y.std() + FAINT))


def _edges(planes: Float) -> Float:
    """Of the gradients of L*, a and b (3, h, w) at four sizes: how strong colour's are, by themselves, beside lightness' and where that is flat (36,)."""
    rows = []
    for _ in range(SCALES):
        rows.append(_gradients(planes) if min(planes.shape[1:]) > 1 else np.zeros(9, np.float32))
        planes = _half(planes)
    return np.concatenate(rows)


def _half(planes: Float) -> Float:
    """Planes (c, h, w) averaged over squares of 2 x 2: (c, h // 2, w // 2)."""
    height, width = planes.shape[1] // 2, planes.shape[2] // 2
    squares = planes[:, : 2 * height, : 2 * width].reshape(len(planes), height, 2, width, 2)
    return np.asarray(squares.mean((2, 4)), np.float32)


def _gradients(planes: Float) -> Float:
    """`_edges` of one size (9,)."""
    down, right = np.diff(planes, axis=1)[:, :, :-1], np.diff(planes, axis=2)[:, :-1]
    light, a, b = np.sqrt(down**2 + right**2).reshape(3, -1)
    colour = np.hypot(a, b)
    middle, strong = np.quantile(colour, (0.5, 0.95))
    sizes = [a.mean(), b.mean(), middle, strong, colour.mean()]
    beside = [
        light.mean(),
        np.hypot(planes[1], planes[2]).mean(),
        colour.std(),
        colour[light <= np.median(light)].mean(),
    ]
    logs = np.log(np.array(sizes + beside) + FAINT)
    return np.array([*logs[:4], *(logs[4] - logs[5:]), _together(light, colour)], np.float32)
