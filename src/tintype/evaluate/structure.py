"""What one picture is made of, as measures see it: colours, windows, edges, even regions. And structural similarity.

Pictures are RGB (H, W, 3) uint8, sRGB; ab is CIELAB's, D65, in its usual units. Windows are Gaussian, 11 x 11 pixels,
sigma 1.5, and lie wholly within the picture (Wang et al. 2004).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tintype.cielab import lab_of, linear
from tintype.picture.color import luma_of

RGB = NDArray[np.uint8]
Float = NDArray[np.float32]
Mask = NDArray[np.bool_]

#: Pixels along a window's side, and the width of its weights.
WINDOW, SIGMA = 11, 1.5
#: Stabilizers of luminance and contrast for values in [0, 1]: Wang et al. 2004, (K1 L)^2 and (K2 L)^2.
C1, C2 = 0.01**2, 0.03**2
#: Neighbours that differ by no more, in a and in b, are of one colour.
SAME = 5.0
#: Bins of hue around the circle.
HUES = 36
#: Luma that changes by more bytes per pixel is a strong edge; chroma so many pixels from one is near it.
STRONG, NEAR = 12.0, 6
#: Regions are even where luma changes by less per pixel, and ab nowhere near changes by more; so many pixels make a region.
EVEN_LUMA, EVEN_AB, LEAST = 8.0, 2.5, 64


def lab(rgb: RGB) -> Float:
    """CIELAB (H, W, 3) of sRGB: L in [0, 100], a and b within about +-110 (CIE 15, D65, 2 degrees)."""
    light = linear(np.arange(256) / 255).astype(np.float32)
    return np.asarray(lab_of(light[rgb]), np.float32)


def colourfulness(rgb: RGB) -> float:
    """Hasler and Suesstrunk 2003, equation 11's M: 0 for grey, about 40 for photographs, over 100 for the gaudiest.

    The opponents R - G and (R + G) / 2 - B are signed. Much copied code takes their absolute values, which gives other
    figures: a picture half red and half green would be plain.
    """
    r, g, b = (rgb[..., k].astype(np.float32) for k in range(3))
    rg, yb = r - g, (r + g) / 2 - b
    return float(np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean()))


@dataclass(frozen=True, eq=False)
class View:
    """One picture, RGB (H, W, 3) uint8, and what measures need to know of it, each computed once."""

    rgb: RGB

    def __post_init__(self) -> None:
        if self.rgb.dtype != np.uint8 or self.rgb.ndim != 3 or self.rgb.shape[2] != 3 or not self.rgb.size:
            raise ValueError(f"a picture is {self.rgb.dtype} {self.rgb.shape}; expected uint8 (height, width, 3)")

    @cached_property
    def lab(self) -> Float:
        """(H, W, 3), as `lab`."""
        return lab(self.rgb)

    @cached_property
    def ab(self) -> Float:
        """(H, W, 2)."""
        return np.ascontiguousarray(self.lab[..., 1:])

    @cached_property
    def chroma(self) -> Float:
        """CIELAB's (H, W): the distance from grey, in units of ab."""
        return np.hypot(self.ab[..., 0], self.ab[..., 1])

    @cached_property
    def hue(self) -> Float:
        """CIELAB's (H, W) in degrees, [0, 360); noise where chroma is small."""
        degrees: Float = np.degrees(np.arctan2(self.ab[..., 1], self.ab[..., 0])) % 360
        return degrees

    @cached_property
    def luma(self) -> NDArray[np.uint8]:
        """(H, W) uint8, as Pillow's `convert("L")`."""
        return luma_of(self.rgb)

    @cached_property
    def largest(self) -> NDArray[np.uint8]:
        """Number (H, W) of the largest channel; the first of equals."""
        r, g, b = (self.rgb[..., k] for k in range(3))
        return np.where((r >= g) & (r >= b), 0, np.where(g >= b, 1, 2)).astype(np.uint8)

    @cached_property
    def smooth(self) -> Mask:
        """Where (H, W) ab is within SAME of all the neighbours above, below, left and right that there are, in both channels."""
        out = np.ones(self.ab.shape[:2], np.bool_)
        down, across = ((np.abs(np.diff(self.ab, axis=axis)) <= SAME).all(-1) for axis in (0, 1))
        out[1:] &= down
        out[:-1] &= down
        out[:, 1:] &= across
        out[:, :-1] &= across
        return out

    @cached_property
    def hues(self) -> NDArray[np.float64]:
        """Shares (HUES,) of the picture's chroma by hue, from 0 degrees; they sum to 1. Zeros for a picture without chroma."""
        numbers = np.minimum(self.hue * np.float32(HUES / 360), HUES - 1).astype(np.int64)
        sums = np.bincount(numbers.ravel(), self.chroma.ravel(), HUES)
        return sums / max(float(sums.sum()), 1e-9)

    @cached_property
    def colourfulness(self) -> float:
        """As `colourfulness`."""
        return colourfulness(self.rgb)

    @cached_property
    def slope(self) -> Float:
        """Change (H, W) of ab per pixel, at a scale of one pixel."""
        return slope(soft(np.moveaxis(self.ab, -1, 0)))

    @cached_property
    def steepest(self) -> Float:
        """The greatest `slope` (H, W) within 6 pixels."""
        return widest(self.slope, NEAR)

    @cached_property
    def _luma_slope(self) -> Float:
        """Bytes per pixel (H, W)."""
        return slope(soft(self.luma[None].astype(np.float32)))

    @cached_property
    def near_edges(self) -> Mask:
        """Where (H, W) there is a strong edge of luma within 6 pixels."""
        return widest(self._luma_slope, NEAR) > STRONG

    @cached_property
    def regions(self) -> NDArray[np.int32]:
        """Connected regions without edges of luma or ab, numbered from 1, and 0 elsewhere (H, W); small ones are left out."""
        even = (widest(self._luma_slope, 2) < EVEN_LUMA) & (self.steepest < EVEN_AB)
        numbers, _ = ndimage.label(even)
        large = np.bincount(numbers.ravel()) >= LEAST
        large[0] = False
        renumbered = np.where(large, np.cumsum(large), 0).astype(np.int32)
        chosen: NDArray[np.int32] = renumbered[numbers]
        return chosen

    @cached_property
    def moments(self) -> Moments | None:
        """Of SSIM's windows; None where the picture is smaller than one."""
        return moments(self.rgb)


def soft(planes: Float) -> Float:
    """Planes (C, H, W) after a Gaussian of one pixel, against the noise of bytes."""
    return np.stack([ndimage.gaussian_filter(plane, 1.0, truncate=3.0) for plane in planes])


def slope(planes: Float) -> Float:
    """Length (H, W) of the gradient of planes (C, H, W), by central differences."""
    steps = [ndimage.correlate1d(planes, [-0.5, 0, 0.5], axis) for axis in (1, 2)]
    length: Float = np.sqrt((steps[0] ** 2 + steps[1] ** 2).sum(0))
    return length


def widest(plane: Float, away: int) -> Float:
    """The greatest value (H, W) within `away` pixels, in a square."""
    greatest: Float = ndimage.maximum_filter(plane, 2 * away + 1)
    return greatest


@dataclass(frozen=True, eq=False)
class Moments:
    """What one picture's windows hold: `planes` (3, H, W) in [0, 1], their `means` and `variances` (3, H - 10, W - 10)."""

    planes: Float
    means: Float
    variances: Float


def moments(rgb: NDArray[np.uint8]) -> Moments | None:
    """Moments of RGB (H, W, 3); None where a picture is smaller than a window."""
    if min(rgb.shape[:2]) < WINDOW:
        return None
    planes = np.ascontiguousarray(np.moveaxis(rgb, -1, 0)).astype(np.float32) / np.float32(255)
    means = windows(planes)
    return Moments(planes, means, windows(planes**2) - means**2)


def windows(planes: Float) -> Float:
    """Weighted means of all windows of planes (..., H, W): (..., H - 10, W - 10)."""
    offsets = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-(offsets**2) / (2 * SIGMA**2))
    weights = (weights / weights.sum()).astype(np.float32)
    rows, columns = planes.shape[-2] - WINDOW + 1, planes.shape[-1] - WINDOW + 1
    down: Float = weights[0] * planes[..., :rows, :]
    for k in range(1, WINDOW):
        down += weights[k] * planes[..., k : k + rows, :]
    across: Float = weights[0] * down[..., :columns]
    for k in range(1, WINDOW):
        across += weights[k] * down[..., k : k + columns]
    return across


def ssim(result: Moments, original: Moments) -> float:
    """Wang, Bovik, Sheikh, Simoncelli 2004, equation 13, for R, G and B by themselves; mean over windows and channels. At most 1."""
    covariances = windows(result.planes * original.planes) - result.means * original.means
    above = (2 * result.means * original.means + C1) * (2 * covariances + C2)
    below = (result.means**2 + original.means**2 + C1) * (result.variances + original.variances + C2)
    return float(np.mean(above / below))


def qssim(result: Moments, original: Moments) -> float:
    """Kolaman, Yadid-Pecht 2012, "Quaternion Structural Similarity"; mean over windows, in [0, 1].

    A pixel is the pure quaternion (R i + G j + B k) / sqrt(3). For two of them p q* = p.q - p x q, so that means and
    covariances have a scalar part, the inner product, and a vector part, the cross product, which is 0 where hue and
    saturation agree. |2 m m'* + C1| |2 s + C2| / ((|m|^2 + |m'|^2 + C1) (v + v' + C2)): as the modulus is always
    positive, a result with all contrast turned round counts as alike.
    """
    x, y = result.planes, original.planes
    mean_dot, mean_cross = _dot(result.means, original.means), _cross(result.means, original.means)
    dot, cross = windows(_dot(x, y)) - mean_dot, windows(_cross(x, y)) - mean_cross
    above = np.sqrt((2 * mean_dot + C1) ** 2 + 4 * (mean_cross**2).sum(0))
    above *= np.sqrt((2 * dot + C2) ** 2 + 4 * (cross**2).sum(0))
    below = _dot(result.means, result.means) + _dot(original.means, original.means) + C1
    below *= (result.variances + original.variances).sum(0) / 3 + C2
    return float(np.mean(above / below))


def _dot(first: Float, second: Float) -> Float:
    """Inner product (H, W) of planes (3, H, W) over sqrt(3) each."""
    product: Float = (first[0] * second[0] + first[1] * second[1] + first[2] * second[2]) / 3
    return product


def _cross(first: Float, second: Float) -> Float:
    """Cross product (3, H, W) of planes (3, H, W) over sqrt(3) each."""
    (r, g, b), (u, v, w) = first, second
    product: Float = np.stack([g * w - b * v, b * u - r * w, r * v - g * u]).astype(np.float32) / np.float32(3)
    return product
