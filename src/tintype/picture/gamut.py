"""Fitting a colour into the gamut at fixed luma: hue is kept, chroma is scaled down only as far as the nearest channel asks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tintype.picture.color import CHROMA_TO_RGB


def fit(low: NDArray[np.float32], high: NDArray[np.float32], chroma: NDArray[np.float32]) -> NDArray[np.float32]:
    """Chroma (..., 2) scaled so that every luma between `low` and `high` (...), in [0, 1], stays in the gamut with it.

    With o_k the offset that the chroma gives to channel k, luma Y needs 0 <= Y + s o_k <= 1, so the largest scale is
    s = min(1, (1 - high) / max o_k, low / max -o_k): at any chroma some offset is >= 0 and some <= 0, as luma's
    weights are positive. A pixel alone has low = high = its luma; a JPEG chroma sample has the extremes of its pixels.
    """
    cb, cr = chroma[..., 0], chroma[..., 1]
    red = np.float32(CHROMA_TO_RGB[0, 1]) * cr
    green = np.float32(CHROMA_TO_RGB[1, 0]) * cb + np.float32(CHROMA_TO_RGB[1, 1]) * cr
    blue = np.float32(CHROMA_TO_RGB[2, 0]) * cb
    up = np.maximum(np.maximum(red, green), blue)
    down = -np.minimum(np.minimum(red, green), blue)
    tiny = np.float32(1e-12)
    scale = np.minimum((1 - high) / np.maximum(up, tiny), low / np.maximum(down, tiny))
    np.clip(scale, 0, 1, out=scale)
    out = np.empty((2, *cb.shape), np.float32)
    np.multiply(cb, scale, out=out[0])
    np.multiply(cr, scale, out=out[1])
    return np.moveaxis(out, 0, -1)
