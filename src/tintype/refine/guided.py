"""Edge-aware enlargement: coarse chroma becomes full-size chroma that changes where the full luma changes.

In every small neighbourhood chroma is taken to be a line over luma, chroma = slope * luma + offset, as in the guided
filter (He, Sun, Tang 2013, equation 4; He, Sun 2015 for doing it on a reduced copy). The lines are found where both are
known at the same sharpness, on the coarse grid; then the picture is doubled: chroma is enlarged bicubically, and
what the finer luma has more than the enlarged coarse luma is added along the slope. So a mixed cell at a silhouette comes
apart into its two colours. Doubling stops at the guide; from there to full size only slopes and offsets are enlarged,
bilinearly, and the line is applied to the full luma: full-size work is linear, and edges are as sharp as the luma has them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tintype.picture.reduce import average

Float = NDArray[np.float32]

#: Longest side of the reduced copy (the guide) up to which chroma is doubled.
GUIDE_LONGEST = 640
#: Standard deviation of the neighbourhood in which a line is fitted, in pixels of the grid it is fitted on.
WINDOW = 0.7
#: Luma variance that counts as flat: slopes fade to zero below it, so that grain does not colour itself.
FLAT = 0.01
#: Standard deviation over which neighbouring slopes are averaged.
SMOOTH = 0.5


@dataclass(frozen=True)
class GuidedChroma:
    """Lines over luma for a page of `size` (H, W): `slope` and `offset` (h, w, 2) on the guide's grid."""

    slope: Float
    offset: Float
    size: tuple[int, int]
    _wide: dict[tuple[int, int], Float] = field(default_factory=dict, repr=False, compare=False)

    def rows(self, luma: Float, top: int, step: tuple[int, int] = (1, 1)) -> Float:
        """Chroma (n, w, 2) for luma (n, w) in [0, 1]: the rows from `top` of a grid with one sample each `step` pixels.

        The value at a sample depends on its place and luma alone, never on how the rows were cut into bands.
        """
        n, w = luma.shape
        planes = self._widened(w, step[1])
        at = (np.arange(top, top + n) + 0.5) * (step[0] * self.slope.shape[0] / self.size[0]) - 0.5
        low, high, part = _between(at, self.slope.shape[0])
        out = np.empty((2, n, w), np.float32)
        starts = np.flatnonzero(np.diff(low, prepend=-1))
        for first, last in zip(starts, [*starts[1:], n], strict=True):  # rows between the same two rows of the guide
            base = planes[:, low[first]]
            rise = planes[:, high[first]] - base
            lines = base[:, None] + part[first:last, None] * rise[:, None]
            lines[:2] *= luma[first:last]
            np.add(lines[:2], lines[2:], out=out[:, first:last])
        return np.moveaxis(out, 0, -1)

    def _widened(self, w: int, step: int) -> Float:
        """Slopes and offsets enlarged along the rows only, (4, h, w). Kept, as every band needs the same."""
        kept = self._wide.get((w, step))
        if kept is None:
            at = (np.arange(w) + 0.5) * (step * self.slope.shape[1] / self.size[1]) - 0.5
            low, high, part = _between(at, self.slope.shape[1])
            both = np.ascontiguousarray(np.concatenate([self.slope, self.offset], -1).transpose(2, 0, 1))
            kept = np.take(both, low, -1)
            kept += part * (np.take(both, high, -1) - kept)
            self._wide[w, step] = kept
        return kept


def enlarge(coarse: Float, guide: Float, size: tuple[int, int]) -> GuidedChroma:
    """Chroma for a page of `size` (H, W) from `coarse` (hc, wc, 2) in [-0.5, 0.5] and `guide`, the reduced luma (h, w) in [0, 1]."""
    chroma = coarse
    h, w = guide.shape
    while (now := chroma.shape[:2]) != (h, w):
        finer = (min(h, 2 * now[0]), min(w, 2 * now[1]))
        before, after = average(guide, (now[0], now[1])), average(guide, finer)
        slope = _slope(chroma, before)
        detail = after - cubic(before[..., None], finer)[..., 0]
        chroma = cubic(chroma, finer) + cubic(slope, finer) * detail[..., None]
    slope = _slope(chroma, guide)
    return GuidedChroma(slope, chroma - slope * guide[..., None], size)


def spread(coarse: Float, guide: Float, size: tuple[int, int]) -> GuidedChroma:
    """The same without the guide: plain bilinear enlargement, for comparison."""
    return GuidedChroma(np.zeros_like(coarse), coarse, size)


def cubic(planes: Float, size: tuple[int, int]) -> Float:
    """Bicubic resize of (h, w, C) to (H, W, C), sample centres aligned."""
    wanted = (size[1], size[0])
    resized = [
        Image.fromarray(np.ascontiguousarray(p)).resize(wanted, Image.Resampling.BICUBIC)
        for p in np.moveaxis(planes, -1, 0)
    ]
    return np.stack([np.asarray(p) for p in resized], -1)


def _slope(chroma: Float, luma: Float) -> Float:
    """Slope (h, w, 2) of the line chroma over luma (h, w) around each pixel, by least squares, flattened by FLAT."""
    mean = _blur(luma, WINDOW)
    variance = np.asarray(np.maximum(_blur(luma * luma, WINDOW) - mean * mean, 0) + FLAT, np.float32)
    slopes = []
    for plane in np.moveaxis(chroma, -1, 0):
        together = _blur(luma * plane, WINDOW) - mean * _blur(plane, WINDOW)
        slopes.append(_blur(np.asarray(together / variance, np.float32), SMOOTH))
    return np.stack(slopes, -1)


def _blur(plane: Float, sigma: float) -> Float:
    """Gaussian blur of (h, w), edges repeated."""
    reach = int(np.ceil(2.5 * sigma))
    weights = np.exp(-(np.arange(reach + 1) ** 2) / (2 * sigma**2))
    weights = (weights / (2 * weights.sum() - weights[0])).astype(np.float32)
    for axis in range(2):
        n = plane.shape[axis]
        padded = np.pad(plane, [(reach, reach) if a == axis else (0, 0) for a in range(2)], mode="edge")
        shifted = [padded[i : i + n] if axis == 0 else padded[:, i : i + n] for i in range(2 * reach + 1)]
        plane = shifted[reach] * weights[0]
        for k in range(1, reach + 1):
            pair = shifted[reach - k] + shifted[reach + k]
            pair *= weights[k]
            plane += pair
    return plane


def _between(at: NDArray[np.float64], n: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Float]:
    """Neighbours (low, high) in range(n) of the places `at`, and the weight of `high`."""
    at = np.clip(at, 0, n - 1)
    low = at.astype(np.int64)
    return low, np.minimum(low + 1, n - 1), (at - low).astype(np.float32)
