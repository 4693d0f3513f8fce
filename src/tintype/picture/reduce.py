"""Box-averaging of reduced copies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tintype.picture.picture import reduced_size

Float = NDArray[np.float32]


def reduce_luma(luma: Float, longest: int) -> Float:
    """Luma (h, w) averaged so that its longest side is at most `longest`; never enlarged."""
    return average(luma, reduced_size((luma.shape[0], luma.shape[1]), longest))


def average(plane: NDArray[np.generic], size: tuple[int, int], part: tuple[float, float] | None = None) -> Float:
    """A plane (h, w) averaged over the cells of a grid of `size` (h', w'), each pixel's weight split over the cells it touches.

    `part`: only its first so many rows and columns count, fractions included.
    """
    if plane.shape == size and part is None:
        return np.asarray(plane, np.float32)
    tall, wide = part or plane.shape
    rows = _rows(plane, tall, size[0])
    return np.ascontiguousarray(_rows(np.ascontiguousarray(rows.T), wide, size[1]).T)


def _rows(plane: NDArray[np.generic], extent: float, cells: int) -> Float:
    """Rows (n, w), of which the first `extent` count, -> their means over `cells` equal parts (cells, w).

    A cell touches a few rows only: the first of each cell for all cells at once, then the second, and so on.
    """
    edges = np.arange(cells + 1) * (extent / cells)
    first = np.minimum(edges[:-1].astype(np.int64), len(plane) - 1)
    total = np.zeros((cells, plane.shape[1]), np.float32)
    for k in range(int(np.ceil((edges[1:] - first).max()))):
        row = first + k
        weight = np.minimum(edges[1:], row + 1) - np.maximum(edges[:-1], row)
        weight = np.clip(weight, 0, None) * (cells / extent)
        total += weight.astype(np.float32)[:, None] * plane[np.minimum(row, len(plane) - 1)]
    return total
