"""Edge-aware enlargement: coarse chroma becomes full-size chroma that changes where the full luma changes.

The fast guided filter (He, Sun 2015, "Fast Guided Filter", on He, Sun, Tang 2013): in every small window chroma is
taken to be a line over luma, chroma = slope * luma + offset. Slopes and offsets are found on a reduced copy of the
picture; only they are enlarged, bilinearly, and the line is then applied to the full luma. So the full-size work is
linear, and edges come out as sharp as the luma has them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]

#: Longest side of the reduced copy on which slopes and offsets are found.
GUIDE_LONGEST = 640
#: Windows of the filter, in pixels of the guide: (2 RADIUS + 1) squared.
RADIUS = 4
#: Luma variance below which a window counts as flat: slopes there fade to zero, so that grain does not colour itself.
EPSILON = 4e-4


@dataclass(frozen=True)
class GuidedChroma:
    """Lines over luma for a page of `size` (H, W): `slope` and `offset` (h, w, 2) on the guide's grid."""

    slope: Float
    offset: Float
    size: tuple[int, int]

    def __post_init__(self) -> None:
        object.__setattr__(self, "_wide", {})

    def rows(self, luma: Float, top: int, step: tuple[int, int] = (1, 1)) -> Float:
        """Chroma (n, w, 2) for luma (n, w) in [0, 1]: the rows from `top` of a grid with one sample each `step` pixels.

        The value at a sample depends on its place and luma alone, never on how the rows were cut into bands.
        """
        n, w = luma.shape
        planes = self._widened(w, step[1])
        at = (np.arange(top, top + n) + 0.5) * (step[0] * self.slope.shape[0] / self.size[0]) - 0.5
        low, high, part = _between(at, self.slope.shape[0])
        out = np.empty((2, n, w), np.float32)
        for k in range(2):
            slope, offset = (planes[p][low] for p in (k, k + 2))
            slope += part[:, None] * (planes[k][high] - slope)
            offset += part[:, None] * (planes[k + 2][high] - offset)
            slope *= luma
            np.add(slope, offset, out=out[k])
        return np.moveaxis(out, 0, -1)

    def _widened(self, w: int, step: int) -> Float:
        """Slopes and offsets enlarged along the rows only: (4, h, w). Kept, as every band needs the same."""
        kept: dict[tuple[int, int], Float] = self.__dict__["_wide"]
        if (w, step) not in kept:
            at = (np.arange(w) + 0.5) * (step * self.slope.shape[1] / self.size[1]) - 0.5
            low, high, part = _between(at, self.slope.shape[1])
            both = np.concatenate([self.slope, self.offset], -1).transpose(2, 0, 1)
            kept[w, step] = np.ascontiguousarray(both[..., low] * (1 - part) + both[..., high] * part)
        return kept[w, step]


def _between(at: NDArray[np.float64], n: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Float]:
    """Neighbours (low, high) in range(n) of the places `at`, and the weight of `high`."""
    at = np.clip(at, 0, n - 1)
    low = at.astype(np.int64)
    return low, np.minimum(low + 1, n - 1), (at - low).astype(np.float32)


def enlarge(coarse: Float, guide: Float, size: tuple[int, int], radius: int = RADIUS, epsilon: float = EPSILON) -> GuidedChroma:
    """Chroma for a page of `size` (H, W) from `coarse` (hc, wc, 2) in [-0.5, 0.5] and `guide`, the reduced luma (h, w) in [0, 1]."""
    chroma = resize(coarse, (guide.shape[0], guide.shape[1]))
    mean = _box(guide, radius)
    variance = np.maximum(_box(guide * guide, radius) - mean * mean, 0)
    slope, offset = np.empty_like(chroma), np.empty_like(chroma)
    for k in range(2):
        mean_k = _box(chroma[..., k], radius)
        slope_k = (_box(guide * chroma[..., k], radius) - mean * mean_k) / (variance + np.float32(epsilon))
        slope[..., k] = _box(slope_k, radius)
        offset[..., k] = _box(mean_k - slope_k * mean, radius)
    return GuidedChroma(slope, offset, size)


def spread(coarse: Float, guide: Float, size: tuple[int, int]) -> GuidedChroma:
    """The same without the guide: plain bilinear enlargement, for comparison."""
    return GuidedChroma(np.zeros_like(coarse), coarse, size)


def resize(planes: Float, size: tuple[int, int]) -> Float:
    """Bilinear resize of (h, w, C) to (H, W, C), sample centres aligned, edges repeated."""
    for axis in range(2):
        n = planes.shape[axis]
        low, high, part = _between((np.arange(size[axis]) + 0.5) * (n / size[axis]) - 0.5, n)
        weight = part.reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        first = np.take(planes, low, axis)
        planes = first + weight * (np.take(planes, high, axis) - first)
    return planes.astype(np.float32, copy=False)


def _box(plane: Float, radius: int) -> Float:
    """Mean over the (2 radius + 1)-square window around each pixel, clipped at the borders."""
    out: NDArray[np.float64] = plane.astype(np.float64)
    for axis in range(2):
        n = out.shape[axis]
        first = np.maximum(np.arange(n) - radius, 0)
        last = np.minimum(np.arange(n) + radius + 1, n)
        shape = [1, 1]
        shape[axis] = n + 1
        total = np.concatenate([np.zeros_like(np.take(out, [0], axis)), np.cumsum(out, axis)], axis)
        counts = (last - first).reshape((-1, 1) if axis == 0 else (1, -1))
        out = (np.take(total, last, axis) - np.take(total, first, axis)) / counts
    return out.astype(np.float32)
