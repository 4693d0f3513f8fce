"""Luma and chroma, as JPEG means them: Rec. 601 weights on gamma-coded values, full range (ITU-T T.871, section 7)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Luma's weights of R', G', B'.
WEIGHTS = (0.299, 0.587, 0.114)

#: What one unit of Cb and of Cr adds to R', G', B' at fixed luma: rows R, G, B; columns Cb, Cr.
CHROMA_TO_RGB = np.array(
    [[0.0, 1.402], [-0.114 * 1.772 / 0.587, -0.299 * 1.402 / 0.587], [1.772, 0.0]], dtype=np.float32
)

#: uint8 or uint16: numpy's types have no "either" that arithmetic keeps.
Bytes = NDArray[Any]


def luma_of(rgb: Bytes) -> Bytes:
    """Luma (H, W) of RGB (H, W, 3), same type, exactly as the promises define it.

    uint8: Pillow's `convert("L")`, (19595 R + 38470 G + 7471 B + 32768) >> 16. uint16: round(0.299 R + 0.587 G + 0.114 B).
    """
    r, g, b = (rgb[..., k].astype(np.uint32) for k in range(3))
    if rgb.dtype == np.uint8:
        return ((19595 * r + 38470 * g + 7471 * b + 32768) >> 16).astype(np.uint8)
    return ((299 * r + 587 * g + 114 * b + 500) // 1000).astype(np.uint16)


def split(rgb: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """RGB (..., 3) in [0, 1] -> luma (...) in [0, 1] and chroma (..., 2) as (Cb, Cr) in [-0.5, 0.5]."""
    luma = rgb @ np.array(WEIGHTS, np.float32)
    return luma, np.stack([(rgb[..., 2] - luma) / 1.772, (rgb[..., 0] - luma) / 1.402], -1)


def merge(luma: NDArray[np.float32], chroma: NDArray[np.float32]) -> NDArray[np.float32]:
    """Luma (...) and chroma (..., 2) -> RGB (..., 3), not clipped."""
    return luma[..., None] + chroma @ CHROMA_TO_RGB.T


def as_float(luma: Bytes) -> NDArray[np.float32]:
    """uint8 or uint16 -> float32 in [0, 1]."""
    return luma.astype(np.float32) * np.float32(1 / np.iinfo(luma.dtype).max)
