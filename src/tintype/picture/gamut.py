"""Fitting a colour into the gamut at fixed luma: hue is kept, chroma is scaled down only as far as the nearest channel asks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tintype.picture.color import CHROMA_TO_RGB

#: Offsets below this count as none.
_TINY = np.float32(1e-12)


def fit(low: NDArray[np.float32], high: NDArray[np.float32], chroma: NDArray[np.float32]) -> NDArray[np.float32]:
    """Chroma (..., 2) scaled so that every luma between `low` and `high` (...), in [0, 1], stays in the gamut with it.

    With o_k the offset that the chroma gives to channel k, luma Y needs 0 <= Y + s o_k <= 1, so the largest scale is
    s = min(1, (1 - high) / max o_k, low / max -o_k): at any chroma some offset is >= 0 and some <= 0, as luma's
    weights are positive. A pixel alone has low = high = its luma; a JPEG chroma sample has the extremes of its pixels.
    """
    # The busiest code there is: each step writes over what is no longer needed.
    cb, cr = chroma[..., 0], chroma[..., 1]
    red = np.multiply(cr, CHROMA_TO_RGB[0, 1])
    green = np.multiply(cr, CHROMA_TO_RGB[1, 1])
    blue = np.multiply(cb, CHROMA_TO_RGB[1, 0])
    green += blue
    np.multiply(cb, CHROMA_TO_RGB[2, 0], out=blue)
    up = np.maximum(red, green)
    np.maximum(up, blue, out=up)
    np.maximum(up, _TINY, out=up)
    down = np.minimum(red, green, out=red)
    np.minimum(down, blue, out=down)
    np.minimum(down, -_TINY, out=down)
    scale = np.subtract(1, high, out=green)
    scale /= up
    np.divide(low, down, out=down)
    np.negative(down, out=down)
    np.minimum(scale, down, out=scale)
    np.clip(scale, 0, 1, out=scale)
    out = np.empty((2, *cb.shape), np.float32)
    np.multiply(cb, scale, out=out[0])
    np.multiply(cr, scale, out=out[1])
    return np.moveaxis(out, 0, -1)
