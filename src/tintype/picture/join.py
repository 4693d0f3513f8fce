"""The join: full-size luma and chroma become RGB whose luma is, to the last bit, the luma that went in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tintype.picture.color import CHROMA_TO_RGB, Bytes, as_float
from tintype.picture.gamut import fit

# Luma as an integer: a sum of (weights . RGB) of which `low <= sum - scale * luma <= high` means "exactly this luma".
# 8 bit is Pillow's formula; 16 bit keeps half a thousandth away from ties, so that every way of rounding agrees.
_RULES = {8: ((19595, 38470, 7471), 65536, -32768, 32767), 16: ((299, 587, 114), 1000, -499, 499)}

#: Beyond this no colour is meant; clipping there keeps the arithmetic finite.
_CHROMA_LIMIT = 1e6


def join(luma: Bytes, chroma: NDArray[np.float32]) -> Bytes:
    """Luma (H, W) uint8 or uint16 and chroma (H, W, 2) float32 in [-0.5, 0.5] -> RGB (H, W, 3) of luma's type.

    The colour is fitted into the gamut at fixed luma, red and blue are rounded, and green is the integer nearest to its
    ideal value that makes the luma exact: the interval of such greens is 1.7 wide, so there always is one. At the
    gamut's faces it can lie one outside of [0, 255]; those few pixels move red or blue instead, or end grey.
    NaN in the chroma counts as no colour.
    """
    bits = 8 if luma.dtype == np.uint8 else 16
    top = 2**bits - 1
    y = as_float(luma)
    if not np.abs(chroma).max(initial=0) <= _CHROMA_LIMIT:  # also true where there is a NaN
        chroma = np.clip(np.nan_to_num(chroma), -_CHROMA_LIMIT, _CHROMA_LIMIT)
    fitted = fit(y, y, chroma)
    cb, cr = fitted[..., 0], fitted[..., 1]
    red = _round(y + np.float32(CHROMA_TO_RGB[0, 1]) * cr, top)
    blue = _round(y + np.float32(CHROMA_TO_RGB[2, 0]) * cb, top)
    (wr, wg, wb), scale, low, high = _RULES[bits]
    # In 16 bit the sums stay below 2**26, in 8 bit below 2**24: int32 holds both.
    rest = luma.astype(np.int32) * np.int32(scale) - np.int32(wr) * red - np.int32(wb) * blue
    least, most = -((-rest - low) // np.int32(wg)), (rest + high) // np.int32(wg)
    green_offset = np.float32(CHROMA_TO_RGB[1, 0]) * cb + np.float32(CHROMA_TO_RGB[1, 1]) * cr
    green = np.clip(_round(y + green_offset, top), least, most)
    out = np.empty((*luma.shape, 3), luma.dtype)
    out[..., 0], out[..., 1], out[..., 2] = red, np.clip(green, 0, top), blue
    missed = np.nonzero((green < 0) | (green > top))
    if missed[0].size:
        out[missed] = _nudge(luma[missed], out[missed], bits)
    return out


def _round(values: NDArray[np.float32], top: int) -> NDArray[np.int32]:
    """[0, 1] floats -> nearest integers in [0, top]."""
    out: NDArray[np.int32] = np.clip(np.rint(values * np.float32(top)), 0, top).astype(np.int32)
    return out


def _nudge(luma: Bytes, rgb: Bytes, bits: int) -> Bytes:
    """Pixels (N, 3) that miss their luma (N,) by one: the nearest change of red, green and blue by at most two that hits it, else grey."""
    (wr, wg, wb), scale, low, high = _RULES[bits]
    top = 2**bits - 1
    steps = sorted(
        ((r, g, b) for r in range(-2, 3) for g in range(-2, 3) for b in range(-2, 3)),
        key=lambda s: sum(k * k for k in s),
    )
    old = rgb.astype(np.int32)
    out = np.repeat(luma[:, None], 3, axis=1)
    open_ = np.ones(len(luma), bool)
    for step in steps:
        new = old + np.array(step, np.int32)
        off = new @ np.array([wr, wg, wb], np.int32) - luma.astype(np.int32) * scale
        hit = open_ & (off >= low) & (off <= high) & (new >= 0).all(1) & (new <= top).all(1)
        out[hit] = new[hit].astype(luma.dtype)
        open_ &= ~hit
    return out
