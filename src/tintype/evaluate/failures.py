"""The failures that the field names, as numbers: a result against its original, in ab of CIELAB.

Each is made to answer to one failure and to leave the others alone; tests/evaluate/test_failures.py shows how far, on
photographs spoiled in one way at a time. Their limits are in what each says. All need an original with colour.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tintype.evaluate.metrics import Measure, View, nearly_grey
from tintype.evaluate.structure import widest

#: Change of ab per pixel that is an edge of colour, whatever stands beside it.
SHARP = 6.0
#: Side in pixels of the blocks whose means are the picture's colours at large, where details even out.
BLOCK = 16
#: Under this variety a picture is of one colour, in units of ab.
ONE_COLOUR = 0.1
#: Chroma under which a neighbourhood of so many pixels is neutral, and over which it is coloured, in units of ab.
NEUTRAL, NEIGHBOURHOOD, COLOURED = 3.0, 9, 12.0
#: Share of neutral pixels, or of edges of colour, that a picture must have to speak of them.
ENOUGH = 0.01


def deficiency(result: View, original: View) -> float:
    """Too little colour: the result's colourfulness over the original's. 0 for grey, 1 as the original, above for gaudy.

    Colourfulness is Hasler and Suesstrunk's (2003). Wrong colours count as much as right ones. NaN for a nearly grey original.
    """
    return float("nan") if nearly_grey(original) else result.colourfulness / original.colourfulness


def bleeding(result: View, original: View) -> float:
    """Colour that runs over edges: 1 - A(result) / A(original), at least 0. 0 as sharp as the original, towards 1 without any edge;
    lower is better.

    A = mean gradient of ab near the original's strong edges of luma / root of the variance of ab over blocks of 16 x 16
    pixels (of their means, a and b summed): how abrupt colours are there, measured by how different the picture's
    colours are at large. So pale colours or a cast leave it alone, and a sharp edge in the wrong place is
    `edge_pollution`. Speckles hide bleeding, large blotches look like it. NaN where either picture is nearly grey or of
    one colour, or the original has no strong edge.
    """
    near = original.near_edges
    if nearly_grey(result) or nearly_grey(original) or not near.any():
        return float("nan")
    own, true = (float(view.slope[near].mean()) for view in (result, original))
    own_variety, true_variety = _variety(result), _variety(original)
    if min(own_variety, true_variety) < ONE_COLOUR or not true:
        return float("nan")
    return max(1 - own / own_variety * true_variety / true, 0.0)


def _variety(view: View) -> float:
    """Root of the variances' sum of a and b over blocks; 0 for a picture of one block."""
    return float(np.sqrt(_blocks(view).var(0).sum()))


def edge_pollution(result: View, original: View) -> float:
    """Edges of colour beside the edges of things: (P - Q) / R, at least 0. 0 for none, 1 where as many as the original has itself;
    lower is better.

    P is the share of the pixels near strong edges of luma where the result alone has an edge of colour, Q that of the
    pixels elsewhere, R that of the pixels near where the original has one. An edge of colour: the gradient of ab is over
    6 per pixel and over half the original's steepest within 6 pixels. The result has it alone where the original's own,
    within a pixel, is under a quarter of that steepest. Softened colours don't reach half; pale results pollute less;
    strong speckles count a little, see `inconsistency`. NaN for a nearly grey original, and where R is under 1 %.
    """
    near, steepest = original.near_edges, original.steepest
    least = np.maximum(steepest / 2, SHARP)
    true = float((original.slope > least)[near].mean()) if near.any() else 0.0
    if nearly_grey(original) or true < ENOUGH:
        return float("nan")
    alone = (result.slope > least) & (widest(original.slope, 1) < steepest / 4)
    elsewhere = float(alone[~near].mean()) if not near.all() else 0.0
    return max(float(alone[near].mean()) - elsewhere, 0.0) / true


def inconsistency(result: View, original: View) -> float:
    """Blotches: how much more the colour varies within the original's even regions, in units of ab. 0 and up, lower is better.

    Mean over regions, by their size, of max(0, s' - s): s is the root of the variance of a plus that of b within the
    region, s' the result's. A region is connected, at least 64 pixels, without edges of luma within 2 pixels or of ab
    within 6 (`View.regions`). Pale and grey results vary less and score 0. NaN where the
    original is nearly grey or has no such region.
    """
    sizes = np.bincount(original.regions.ravel())[1:]
    if nearly_grey(original) or not sizes.size:
        return float("nan")
    more = _spread(result, original.regions) - _spread(original, original.regions)
    return float(np.average(np.maximum(more, 0), weights=sizes))


def _spread(view: View, regions: NDArray[np.int32]) -> NDArray[np.float64]:
    """Root of the variances' sum of a and b in each region (N,)."""
    inside = regions > 0
    numbers = regions[inside] - 1
    sizes = np.bincount(numbers)
    squares = np.zeros(len(sizes))
    for plane in view.ab[inside].T:
        off = plane - (np.bincount(numbers, plane) / sizes)[numbers]
        squares += np.bincount(numbers, off**2)
    spread: NDArray[np.float64] = np.sqrt(squares / sizes)
    return spread


def cast(result: View, original: View) -> float:
    """A colour over everything: length in units of ab of the median over blocks of C' - g C. 0 and up, lower is
    better; from about 5 it is seen.

    C and C' are the means of ab in blocks of 16 x 16 pixels, g = (cov + 1) / (var + 1) the gain of the line that fits
    them best, 1 where the original has one colour only: so a pale result, for which C' = g C, has no cast, a grey one
    neither, and a sepia one has. With the median a cast is what most of the picture has. Where right and wrong colours
    have nothing in common g is near 0, and the result's own prevailing colour is its cast; colours some pixels off
    their place lower g as well, and count 2 or so. NaN for a nearly grey original.
    """
    if nearly_grey(original):
        return float("nan")
    true, got = _blocks(original), _blocks(result)
    true_off, got_off = true - true.mean(0), got - got.mean(0)
    gain = ((true_off * got_off).sum() / len(true) + 1) / ((true_off**2).sum() / len(true) + 1)
    return float(np.hypot(*np.median(got - gain * true, axis=0)))


def hue_shift(result: View, original: View) -> float:
    """A turn of all colours: the angle in degrees by which the result's ab has to be turned to lie best on the original's. 0 to 180, lower is better.

    |atan2(sum(a b' - b a'), sum(a a' + b b'))| over pixels: the mean turn of hue, each pixel counting by both its chromas. Pale
    results have none; a cast turns hues, too. NaN where either picture is nearly grey.
    """
    if nearly_grey(result) or nearly_grey(original):
        return float("nan")
    a, b = np.moveaxis(original.ab, -1, 0)
    a_, b_ = np.moveaxis(result.ab, -1, 0)
    return abs(math.degrees(math.atan2(float((a * b_ - b * a_).sum()), float((a * a_ + b * b_).sum()))))


def _blocks(view: View) -> NDArray[np.float64]:
    """Mean ab (N, 2) of blocks of 16 x 16 pixels, at the right and lower border of what is left."""
    starts = [np.arange(0, size, BLOCK) for size in view.ab.shape[:2]]
    sums = np.add.reduceat(np.add.reduceat(view.ab, starts[0], 0), starts[1], 1)
    rows, columns = (np.diff([*start, size]) for start, size in zip(starts, view.ab.shape[:2], strict=True))
    means: NDArray[np.float64] = sums / np.outer(rows, columns)[..., None]
    return means.reshape(-1, 2)


def neutral_coloured(result: View, original: View) -> float:
    """Greys made colourful: share of the original's neutral pixels whose chroma in the result is over 12. 0 to 1, lower is better.

    A pixel is neutral if the mean chroma of the 9 x 9 pixels around it is under 3, so that colours just beyond an edge
    don't count. A cast over 12 colours them all. NaN where under 1 % of the pixels are neutral, or the original is nearly grey.
    """
    neutral = ndimage.uniform_filter(original.chroma, NEIGHBOURHOOD) < NEUTRAL
    if nearly_grey(original) or neutral.mean() < ENOUGH:
        return float("nan")
    return float((result.chroma[neutral] > COLOURED).mean())


_ALL = (
    Measure("deficiency", "deficiency", "of 1", "original", "colourfulness over the original's: below 1 is too little", deficiency),
    Measure("bleeding", "bleeding", "share", "lower", "how much softer colours are at edges", bleeding),
    Measure("edge_pollution", "edge pollution", "of 1", "lower", "colour edges beside the edges of things, per true one", edge_pollution),
    Measure("inconsistency", "inconsistency", "ab", "lower", "how much more colours vary within even regions", inconsistency),
    Measure("cast", "cast", "ab", "lower", "a colour that lies over most of the picture", cast),
    Measure("hue_shift", "hue shift", "degrees", "lower", "how far all colours are turned", hue_shift),
    Measure("neutral_coloured", "greys coloured", "share", "lower", "of the neutral pixels, those that got colour", neutral_coloured),
)  # fmt: skip

#: In table order.
FAILURES: dict[str, Measure] = {measure.name: measure for measure in _ALL}
