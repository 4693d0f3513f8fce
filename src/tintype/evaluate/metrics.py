"""Measures of colour: a result against its original. Pictures are RGB (H, W, 3) uint8, sRGB; ab is CIELAB's, D65, in its usual units.

C is the original's ab, C' the result's, over H x W pixels and the channels k = a, b.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tintype.evaluate import structure
from tintype.evaluate.colour_difference import ciede2000
from tintype.evaluate.structure import HUES, View, colourfulness, lab

Counts = NDArray[np.int64]
Better = Literal["lower", "higher", "original"]

#: ab in sRGB lies within +-AB_LIMIT; the range is from one end to the other.
AB_LIMIT = 110
AB_RANGE = 2 * AB_LIMIT
#: Of `accuracy`: a share of the range.
EPSILON = 0.02
#: Under this mean chroma a picture counts as grey: what JPEG leaves of a grey picture saved in colour stays under 1.
GREY = 2.0
#: What stands for "no error" in dB.
NO_ERROR = 99.0
#: Edges of `pixel_errors`' bins in units of ab; all that is beyond 128 is in the last.
ERROR_EDGES = (*range(129), float("inf"))
#: Side of `colours`' bins in units of ab.
COLOUR_STEP = 5


def nearly_grey(view: View) -> bool:
    """Whether the mean chroma is under 2 units of ab, so that there is no colour to compare with. A sepia print has colour."""
    return float(view.chroma.mean()) < GREY


def ab_mse(result: View, original: View) -> float:
    """Sum over k and pixels of (C - C')^2 / (2HW), in squared units of ab; 0 to about 220^2, lower is better. Not a row of its own: see `ab_rmse`."""
    return float(np.mean((result.ab - original.ab) ** 2))


def ab_rmse(result: View, original: View) -> float:
    """Root of `ab_mse`, in units of ab; 0 to about 220, lower is better. Zhang, Isola, Efros 2016 and others."""
    return math.sqrt(ab_mse(result, original))


def ab_mae(result: View, original: View) -> float:
    """Sum over k and pixels of |C - C'| / (2HW), in units of ab; 0 to about 220, lower is better."""
    return float(np.mean(np.abs(result.ab - original.ab)))


def rgb_mse(result: View, original: View) -> float:
    """Mean over pixels and R, G, B of the squared error in bytes; 0 to 255^2, lower is better."""
    return float(np.mean((result.rgb.astype(np.float32) - original.rgb) ** 2))


def psnr(result: View, original: View) -> float:
    """10 log10(255^2 / MSE) over R, G, B, in dB; higher is better; 99 for equal pictures."""
    return _decibels(255, rgb_mse(result, original))


def psnr_ab(result: View, original: View) -> float:
    """10 log10(220^2 / `ab_mse`) in dB, higher is better; 99 for equal ab. The peak is ab's range of +-110, whatever the picture's own."""
    return _decibels(AB_RANGE, ab_mse(result, original))


def _decibels(peak: float, mse: float) -> float:
    """10 log10(peak^2 / mse); NO_ERROR at most."""
    return min(10 * math.log10(peak**2 / mse), NO_ERROR) if mse > 0 else NO_ERROR


def ssim(result: View, original: View) -> float:
    """`structure.ssim`: at most 1, higher is better. NaN where a side is under 11 pixels. High even for grey results, as luma is the original's."""
    if result.moments is None or original.moments is None:
        return float("nan")
    return structure.ssim(result.moments, original.moments)


def qssim(result: View, original: View) -> float:
    """`structure.qssim`: 0 to 1, higher is better. NaN where a side is under 11 pixels."""
    if result.moments is None or original.moments is None:
        return float("nan")
    return structure.qssim(result.moments, original.moments)


def accuracy(result: View, original: View) -> float:
    """(1 / HW) times the number of pixels with |C - C'| <= 2 % of the range 220, so 4.4, for both k. 0 to 1, higher is better.

    One report that uses this prints 1 / (2HW) in front, which would cap it at a half; with 1 / HW it is a share of pixels.
    """
    return float(np.mean((np.abs(result.ab - original.ab) <= EPSILON * AB_RANGE).all(-1)))


def argmax_accuracy(result: View, original: View) -> float:
    """Share of pixels whose largest of R, G, B is the same channel; of equals the first counts. 0 to 1, higher is better.

    What the training loop of Keras calls accuracy for a network with RGB output. Grey pixels count as red.
    """
    return float(np.mean(result.largest == original.largest))


def pa(result: View, original: View) -> float:
    """Consistency: of the pixels whose true ab is within 5 units of all 4-neighbours, in a and in b, the share whose result's is too.

    0 to 1, higher is better; at the border only the neighbours that exist count. NaN where the original has no such
    pixel. Any result without texture scores 1, grey included: read it beside `ab_rmse`.
    """
    wanted = int(original.smooth.sum())
    return int((original.smooth & result.smooth).sum()) / wanted if wanted else float("nan")


def delta_e76(result: View, original: View) -> float:
    """Mean distance in L, a, b: CIE 1976. 0 and up, lower is better; about 2.3 is just seen."""
    return float(np.sqrt(((result.lab - original.lab) ** 2).sum(-1)).mean())


def delta_e2000(result: View, original: View) -> float:
    """Mean CIEDE2000 (CIE 142-2001) over pixels. 0 and up, lower is better; about 1 is just seen side by side."""
    return float(ciede2000(result.lab, original.lab).mean())


def colourfulness_difference(result: View, original: View) -> float:
    """The result's colourfulness less the original's: below 0 for pale results, above for gaudy ones."""
    return result.colourfulness - original.colourfulness


def hue_distance(result: View, original: View) -> float:
    """Degrees that hue has to be turned by, on average, to make the result's histogram of hues the original's. 0 to 180, lower is better.

    The earth mover's distance around the circle between two histograms of 36 bins in which each pixel counts by its
    chroma: 10 times the sum of |F - G - median(F - G)| over bins, with F and G the cumulative shares (Rabin, Delon,
    Gousseau 2011, "Transportation Distances on the Circle"). Where the colours are doesn't matter. NaN where either
    picture is nearly grey.
    """
    if nearly_grey(result) or nearly_grey(original):
        return float("nan")
    lead = np.cumsum(result.hues - original.hues)
    return float(360 / HUES * np.abs(lead - np.median(lead)).sum())


def luma_error(result: View, original: View) -> float:
    """Greatest |luma - luma'| of all pixels in bytes, 0 to 255, lower is better: 0 is Tintype's promise."""
    return float(np.max(np.abs(result.luma.astype(np.int16) - original.luma.astype(np.int16))))


def luma_exact(result: View, original: View) -> float:
    """Share of pixels whose luma is the original's to the byte. 0 to 1, higher is better."""
    return float(np.mean(result.luma == original.luma))


def pixel_errors(result: View, original: View) -> Counts:
    """Counts (129,) of pixels by their RMSE over ab, sqrt(((a - a')^2 + (b - b')^2) / 2), in bins of ERROR_EDGES, for cumulative histograms."""
    errors = np.sqrt(((result.ab - original.ab) ** 2).mean(-1))
    return np.bincount(np.minimum(errors, 128).astype(np.int64).ravel(), minlength=129)


def colours(view: View) -> Counts:
    """Counts (44, 44) of pixels by a (rows) and b, both from -110 up in steps of 5."""
    side = AB_RANGE // COLOUR_STEP
    a, b = np.moveaxis(np.clip((view.ab + AB_LIMIT) // COLOUR_STEP, 0, side - 1).astype(np.int64), -1, 0)
    return np.bincount((a * side + b).ravel(), minlength=side**2).reshape(side, side)


@dataclass(frozen=True)
class Measure:
    """A figure of a result against its original. NaN where it means nothing for this pair.

    `title` heads a table's column; `better`: "lower", "higher", or "original" where the best is what the original itself
    would score; `about` is one line for a report; `needs_colour`: it means nothing for an original that is `nearly_grey`.
    """

    name: str
    title: str
    unit: str
    better: Better
    about: str
    of: Callable[[View, View], float]
    needs_colour: bool = True


_ALL = (
    Measure("ab_rmse", "ab RMSE", "ab", "lower", "root mean square error in a and b", ab_rmse),
    Measure("ab_mae", "ab MAE", "ab", "lower", "mean absolute error in a and b", ab_mae),
    Measure("psnr", "PSNR", "dB", "higher", "peak signal-to-noise ratio over R, G, B", psnr),
    Measure("psnr_ab", "PSNR ab", "dB", "higher", "peak signal-to-noise ratio over a and b, peak 220", psnr_ab),
    Measure("ssim", "SSIM", "", "higher", "structural similarity, mean of R, G and B", ssim),
    Measure("qssim", "QSSIM", "", "higher", "structural similarity of pixels as quaternions", qssim),
    Measure("accuracy", "accuracy", "share", "higher", "pixels with a and b within 2 % of their range", accuracy),
    Measure("argmax_accuracy", "argmax", "share", "higher", "pixels whose largest channel agrees", argmax_accuracy),
    Measure("pa", "PA", "share", "higher", "of the smooth pixels, those that stay so", pa),
    Measure("delta_e76", "dE 76", "", "lower", "mean distance in CIELAB", delta_e76),
    Measure("delta_e2000", "dE 2000", "", "lower", "mean CIEDE2000", delta_e2000),
    Measure(
        "colourfulness",
        "colourfulness",
        "",
        "original",
        "the result's colourfulness (Hasler and Suesstrunk)",
        lambda result, original: result.colourfulness,
    ),
    Measure(
        "colourfulness_difference",
        "colourfulness, difference",
        "",
        "original",
        "colourfulness less the original's",
        colourfulness_difference,
    ),
    Measure("hue_distance", "hues", "degrees", "lower", "distance of the histograms of hue", hue_distance),
    Measure("luma_error", "luma error", "bytes", "lower", "greatest change of luma", luma_error, False),
    Measure(
        "luma_exact",
        "luma exact",
        "share",
        "higher",
        "pixels with the original's luma to the byte (of JPEG results, which are rounded when decoded, a little less)",
        luma_exact,
        False,
    ),
)

#: In table order.
MEASURES: dict[str, Measure] = {measure.name: measure for measure in _ALL}


@dataclass
class Stream:
    """Figures over a set of pictures, one `update` at a time.

    `compute` has each measure's mean over the pictures, and two over all pixels of all pictures, whatever their size:
    `pooled_ab_rmse` and `pooled_psnr`, the roots and logarithms taken last.
    """

    measures: Mapping[str, Measure] = field(default_factory=lambda: MEASURES)
    pictures: int = 0
    pixels: int = 0
    ab_squares: float = 0.0
    rgb_squares: float = 0.0
    values: dict[str, list[float]] = field(default_factory=dict)

    def update(self, result: View, original: View) -> dict[str, float]:
        """Count one result against its original; its own figures. Raises ValueError where their sizes differ."""
        if result.rgb.shape != original.rgb.shape:
            raise ValueError(
                f"the result is {result.rgb.shape[:2]}, its original {original.rgb.shape[:2]}; expected one size"
            )
        figures = {name: measure.of(result, original) for name, measure in self.measures.items()}
        pixels = original.luma.size
        self.pictures += 1
        self.pixels += pixels
        self.ab_squares += pixels * ab_mse(result, original)
        self.rgb_squares += pixels * rgb_mse(result, original)
        for name, value in figures.items():
            self.values.setdefault(name, []).append(value)
        return figures

    def compute(self) -> dict[str, float]:
        """Means over the pictures, NaN left out and NaN where nothing is left, and the pooled two. Raises ValueError before the first picture."""
        if not self.pictures:
            raise ValueError("no picture was counted; expected at least one `update`")
        means = {}
        for name, values in self.values.items():
            known = [value for value in values if not np.isnan(value)]
            means[name] = float(np.mean(known)) if known else float("nan")
        pooled_rgb = self.rgb_squares / self.pixels
        return {
            **means,
            "pooled_ab_rmse": (self.ab_squares / self.pixels) ** 0.5,
            "pooled_psnr": _decibels(255, pooled_rgb),
        }


__all__ = [
    "AB_LIMIT",
    "COLOUR_STEP",
    "ERROR_EDGES",
    "MEASURES",
    "Measure",
    "Stream",
    "View",
    "colourfulness",
    "colours",
    "lab",
    "nearly_grey",
    "pixel_errors",
]
