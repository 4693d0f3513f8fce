"""Box-averaging of reduced copies: small arrays, so two small matrix products."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tintype.picture.picture import reduced_size

Float = NDArray[np.float32]


def reduce_luma(luma: Float, longest: int) -> Float:
    """Luma (h, w) averaged so that its longest side is at most `longest`; never enlarged."""
    return average(luma, reduced_size((luma.shape[0], luma.shape[1]), longest))


def average(plane: Float, size: tuple[int, int]) -> Float:
    """A plane (h, w) averaged over the cells of a grid of `size` (h', w'), each pixel's weight split over the cells it touches."""
    if plane.shape == size:
        return plane
    return np.asarray(_shares(plane.shape[0], size[0]) @ plane @ _shares(plane.shape[1], size[1]).T, np.float32)


def _shares(before: int, after: int) -> Float:
    """(after, before): how much of each cell lies in each pixel; rows sum to one."""
    edges = np.arange(after + 1) * (before / after)
    pixels = np.arange(before)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    shares = np.clip(overlap, 0, None)
    return np.asarray(shares / shares.sum(1, keepdims=True), np.float32)
