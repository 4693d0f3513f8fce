"""The 313 colour classes of Zhang, Isola, Efros 2016 ("Colorful Image Colorization", section 2.2), in numpy: which they
are, how a colour becomes a distribution over them, and how a distribution becomes a colour.

ab is CIELAB's, D65, in its usual units (sRGB reaches -86 .. 98 in a and -108 .. 94 in b), always along the last axis. Class
numbers run over the centres sorted by a, then b: the order of the released networks' outputs. `train.ab_classes` is the
same in torch.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tintype.cielab import CLASSES, coded, lab_of, lightness, linear, rgb_of
from tintype.methods.method import Decode
from tintype.picture.color import split

Float = NDArray[np.float32]
Numbers = NDArray[np.int64]

#: Of the grid that the centres lie on, in units of ab.
STEP = 10
#: Classes that share one colour in the soft encoding, and the width of their Gaussian weights in units of ab.
NEIGHBOURS, SIGMA = 5, 5.0
#: Of `annealed` (equation 5's T): between the mean, which is pale, and the mode, which is patchy.
TEMPERATURE = 0.38

#: What one class number adds to a squared distance, so that of two equally near classes the lower number is the nearer one.
TIE = 1e-9


def ab_of(rgb: NDArray[Any]) -> NDArray[np.float64]:
    """ab (..., 2) of gamma-coded sRGB (..., 3), floats in [0, 1]."""
    return np.asarray(lab_of(linear(np.asarray(rgb, np.float64)))[..., 1:], np.float64)


def ab_to_chroma(luma: Float, ab: Float) -> Float:
    """What ab (h, w, 2) means beside gamma-coded luma (h, w) in [0, 1]: chroma (h, w, 2) of the colour with the grey's L* and that ab, clipped to sRGB."""
    lab = np.concatenate([lightness(linear(luma))[..., None], ab], -1)
    rgb = coded(np.clip(rgb_of(lab), 0, 1))
    return split(rgb.astype(np.float32))[1]


@cache
def centres() -> Float:
    """The classes' ab: (313, 2) float32, multiples of 10 within [-110, 100], sorted by a, then b. Not to be written to.

    The rule: all four corners of every cell of the grid of step 10 that the convex hull of sRGB's gamut, projected on the ab
    plane, touches. The convex hull, because the mean of several colours may leave the gamut's outline, but not its hull;
    all four corners, so that every such colour lies between classes and none at the edge is drawn inwards. The paper only
    says "in gamut"; of the readings tried, a grid point that is itself a colour of sRGB at some lightness gives 229
    classes, one that is the nearest to some colour 261, the corners of cells with a colour in them 309, this one 313, and
    they are those of the released networks. It doesn't hang on rounding: the nearest miss lies 0.1 beyond the rule's limit
    of 10, the farthest hit 0.3 within.

    How: the hull touches a cell next to a point exactly if the point lies in the hull widened by the square of +-10,
    which is so if in no direction it lies farther out than the hull's farthest colour plus the square's farthest corner.
    """
    levels = np.linspace(0, 1, 17)
    ab = ab_of(np.stack(np.meshgrid(levels, levels, levels), -1).reshape(-1, 3))
    angles = np.arange(720) * (2 * np.pi / 720)
    directions = np.stack([np.cos(angles), np.sin(angles)])
    reach = (ab @ directions).max(0) + STEP * np.abs(directions).sum(0)
    axis = np.arange(-120, 121, STEP)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    kept: Float = grid[(grid @ directions <= reach).all(1)].astype(np.float32)
    kept.setflags(write=False)
    return kept


def soften(ab: NDArray[Any]) -> tuple[Numbers, Float]:
    """Soft encoding of finite ab (..., 2): the 5 nearest classes (..., 5), nearest first, and their weights (..., 5), which sum to 1.

    A weight is proportional to exp(-d^2 / (2 * 5^2)), with d the distance to the class's centre (section 2.2). Works
    outside the gamut too. Needs 2.5 kB per colour while it runs.
    """
    squares = ((np.asarray(ab, np.float64)[..., None, :] - centres()) ** 2).sum(-1) + TIE * np.arange(CLASSES)
    some = np.argpartition(squares, NEIGHBOURS, axis=-1)[..., :NEIGHBOURS]
    order = np.take_along_axis(squares, some, -1).argsort(-1)
    classes = np.take_along_axis(some, order, -1).astype(np.int64)
    squares = np.take_along_axis(squares, classes, -1)
    weights = np.exp((squares[..., :1] - squares) / (2 * SIGMA**2))  # the nearest's is 1: never nothing over nothing
    return classes, (weights / weights.sum(-1, keepdims=True)).astype(np.float32)


def dense(classes: Numbers, weights: Float) -> Float:
    """`soften`'s answer as full distributions (..., 313)."""
    full = np.zeros((*classes.shape[:-1], CLASSES), np.float32)
    np.put_along_axis(full, classes, weights, -1)
    return full


def nearest(ab: NDArray[Any]) -> Numbers:
    """Hard encoding of finite ab (..., 2): the nearest class (...); of equally near ones the lowest."""
    colours = np.asarray(ab, np.float64)
    cells = np.clip(np.ceil(colours / STEP - 0.5), -12, 12).astype(np.int64) + 12
    classes: Numbers = np.asarray(_table()[cells[..., 0], cells[..., 1]])
    far = classes < 0  # never within the gamut, where the nearest grid point always is a class
    classes[far] = soften(colours[far])[0][:, 0]
    return classes


@cache
def _table() -> Numbers:
    """The class at every point of the grid from -120 to 120, (25, 25), or -1."""
    table = np.full((25, 25), -1)
    a, b = (centres() / STEP + 12).astype(np.int64).T
    table[a, b] = np.arange(CLASSES)
    return table


def temperature_of(decode: Decode, temperature: float = 0.0) -> float:
    """The temperature at which `decode` reads logits: the one given for `annealed` and `sample`, 1 for `mean`.

    0 stands for the decode's own: 0.38 and 1. Raises ValueError for another decode or a temperature below 0.
    """
    own = {"mode": 1.0, "mean": 1.0, "annealed": TEMPERATURE, "sample": 1.0}
    if decode not in own:
        raise ValueError(f"decode is {decode!r}; expected {', '.join(own)}")
    if not 0 <= temperature < np.inf:
        raise ValueError(f"temperature is {temperature}; expected 0 (the decode's own) or more")
    return temperature if temperature and decode in ("annealed", "sample") else own[decode]


def decode(
    logits: NDArray[Any], how: Decode = "annealed", temperature: float = 0.0, rng: np.random.Generator | None = None
) -> Float:
    """Logits (..., 313) -> ab (..., 2). A distribution p goes in as log p, where -inf is a class that can't be.

    `mode`: the likeliest class, the lowest of several. `mean`: the expectation. `annealed`: the expectation after the softmax
    at `temperature` (equation 5); 1 is the mean, towards 0 it becomes the mode. `sample`: a draw by `rng` for each pixel by itself,
    from the softmax at `temperature`. For 0 see `temperature_of`. Raises ValueError where that does, and for `sample` without `rng`.
    """
    heat = temperature_of(how, temperature)
    if how == "mode":
        likeliest: Float = centres()[logits.argmax(-1)]
        return likeliest
    sharpened = np.exp((logits - logits.max(-1, keepdims=True)) / np.float32(heat))
    p = np.asarray(sharpened / sharpened.sum(-1, keepdims=True), np.float32)
    if how != "sample":
        expected: Float = p @ centres()
        return expected
    if rng is None:
        raise ValueError("decode is 'sample'; expected a generator to draw with")
    return centres()[pick(p, rng.random(p.shape[:-1]))]


def pick(p: Float, uniform: NDArray[np.float64]) -> Numbers:
    """The class (...) that a number of [0, 1) `uniform` (...) picks from distributions p (..., 313): where their cumulative sum passes it."""
    sums = p.astype(np.float64).cumsum(-1)
    passed = (sums <= uniform[..., None] * sums[..., -1:]).sum(-1)
    picked: Numbers = np.minimum(passed, CLASSES - 1)
    return picked
