"""From chroma to quantized DCT blocks that hardly clip when they are decoded beside their luma.

Each chroma sample is fitted to the gamut of all the pixels that it reaches: with 4:2:0, libjpeg's "fancy" upsampling
mixes it into the 4 x 4 pixels around it. A pixel's decoded chroma is a weighted mean of samples that all fit its luma,
and the gamut at fixed luma is convex, so it fits, too. What is left is the noise of quantization: the few blocks in
which it would change a pixel's grey are found by decoding them, and given to `mending`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from tintype.picture.coefficients import Blocks, Table
from tintype.picture.color import CHROMA_TO_RGB
from tintype.picture.dct import Coder, Float, product
from tintype.picture.gamut import fit
from tintype.picture.mending import SEEN, mend

Luma = NDArray[np.uint8]
_Kind = TypeVar("_Kind", bound=np.generic)

# ITU-T T.81, annex K.1: the tables that libjpeg scales to make a quality.
_LUMA = np.array(
    [16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
     18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99]
)  # fmt: skip
_CHROMA = np.full((8, 8), 99)
_CHROMA[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]
#: Percent of those tables that chroma gets at most: quality 85. Coarser chroma saves little, and its noise breaks the fit
#: to the gamut in many blocks, which cost colour or bits to mend.
_COARSEST = 30.0
#: And where that isn't fine enough: quality 97.
_FINE = 6.0
#: Share of a picture's blocks that may lose their detail of colour before the fine table is taken. Pictures full of black
#: and white, as sunlit leaves in a hard print, need it.
_FLAT = 0.01


def chroma_table(luma: Table, fine: bool = False) -> Table:
    """libjpeg's chroma table at the quality of a luma table (8, 8), but not coarser than quality 85's, or 97's where `fine`."""
    scale = min(float(np.median(100 * luma.reshape(64).astype(np.float64) / _LUMA)), _FINE if fine else _COARSEST)
    return np.clip(np.floor((_CHROMA * scale + 50) / 100), 1, 255).astype(np.uint16)


@dataclass(frozen=True)
class Reach:
    """Luma around each chroma sample, (h, w): its mean, for the guide, in [0, 1]; its extremes over all pixels the sample reaches, in levels."""

    mean: Float
    low: Luma
    high: Luma
    padded: Luma  #: luma itself, with one more pixel on each side
    sampling: int


def reach_of(padded: Luma, sampling: int) -> Reach:
    """From luma (n + 2, w + 2) of a stripe with one more pixel on each side; n and w are multiples of `sampling`."""
    inner = padded[1:-1, 1:-1]
    if sampling == 1:
        return Reach(inner * np.float32(1 / 255), inner, inner, padded, sampling)
    pairs = padded[1:-1:2].astype(np.uint16)
    pairs += padded[2::2]
    mean = (pairs[:, 1:-1:2] + pairs[:, 2::2]) * np.float32(1 / 1020)
    return Reach(mean, _extremes(padded, np.minimum), _extremes(padded, np.maximum), padded, sampling)


def _extremes(padded: Luma, pick: np.ufunc) -> Luma:
    """Over 4 x 4 pixels each two: along columns first, then along rows; whole rows, so that the processor's vectors are used."""
    rows = pick(pick(padded[:-2:2], padded[1:-1:2]), pick(padded[2::2], padded[3::2]))
    pairs = pick(rows[:, :-1], rows[:, 1:])
    return np.ascontiguousarray(pick(pairs[:, :-2], pairs[:, 2:])[:, ::2])


def too_flat(flat: int, size: tuple[int, int], sampling: int) -> bool:
    """Whether so many blocks of a picture (H, W) got a single colour (see `code`) that it should have the fine table."""
    return flat > _FLAT * size[0] * size[1] / (8 * sampling) ** 2


def code(reach: Reach, chroma: Float, coder: Coder) -> tuple[Blocks, Blocks, int]:
    """Chroma (h, w, 2) of a stripe -> Cb's and Cr's blocks (rows, columns, 8, 8), int16, and how many of them have a single colour only to clip less."""
    unit = np.float32(1 / 255)
    fitted = np.moveaxis(fit(reach.low * unit, reach.high * unit, chroma), -1, 0)
    samples = _blocks(fitted)
    coded = coder.quantize(samples)
    low, high = _blocks(reach.low), _blocks(reach.high)
    suspects = _suspects(coded, low, high, coder)
    suspects = suspects[_clips(coder.decode(coded[:, suspects]), low[suspects], high[suspects])]
    flat = 0
    if suspects.size:
        coded[:, suspects], flat = mend(
            coded[:, suspects], samples[:, suspects], _tiles(reach, suspects), coder, reach.sampling, reach.padded.size
        )
    rows, columns = -(-fitted.shape[1] // 8), -(-fitted.shape[2] // 8)
    cb, cr = coded.astype(np.int16).reshape(2, rows, columns, 8, 8)
    return cb, cr, flat


def _blocks(planes: NDArray[_Kind]) -> NDArray[_Kind]:
    """Planes (..., h, w) -> (..., N, 64), edges repeated."""
    h, w = planes.shape[-2:]
    if h % 8 or w % 8:
        planes = np.pad(planes, [(0, 0)] * (planes.ndim - 2) + [(0, -h % 8), (0, -w % 8)], "edge")
    rows, columns = planes.shape[-2] // 8, planes.shape[-1] // 8
    blocks = planes.reshape(*planes.shape[:-2], rows, 8, columns, 8).swapaxes(-3, -2)
    return blocks.reshape(*planes.shape[:-2], rows * columns, 64)


def _tiles(reach: Reach, which: NDArray[np.int64]) -> Luma:
    """Luma of the pixels that some blocks' samples reach: (N, 8 x 8), with 4:2:0 (N, 18 x 18)."""
    step, around = 8 * reach.sampling, reach.sampling - 1
    luma = reach.padded if around else reach.padded[1:-1, 1:-1]
    luma = np.pad(luma, [(0, -(n - 2 * around) % step) for n in luma.shape], "edge")
    windows = sliding_window_view(luma, (step + 2 * around,) * 2)[::step, ::step]
    return windows[np.unravel_index(which, windows.shape[:2])].reshape(len(which), -1)


def _suspects(coded: Float, low: Luma, high: Luma, coder: Coder) -> NDArray[np.int64]:
    """Blocks that could clip: a channel's offset stays within what the other coefficients add at most to what the first one does."""
    mean = coded[..., 0] * coder.backward[0, 0]
    spread = product(np.abs(coded), coder.most)[..., 0] - np.abs(mean)
    below, above = low.min(1) + np.float32(SEEN), 255 + np.float32(SEEN) - high.max(1)
    found = np.zeros(len(below), bool)
    for to_cb, to_cr in CHROMA_TO_RGB:
        offset = to_cb * mean[0] + to_cr * mean[1]
        most = abs(to_cb) * spread[0] + abs(to_cr) * spread[1]
        found |= (most - offset > below) | (most + offset > above)
    return np.nonzero(found)[0]


def _clips(decoded: Float, low: Luma, high: Luma) -> NDArray[np.bool_]:
    """Whether a channel would clip if some pixel had one of a block's decoded samples (2, N, 64), in levels, alone: (N,)."""
    offsets = [np.float32(to_cb) * decoded[0] + np.float32(to_cr) * decoded[1] for to_cb, to_cr in CHROMA_TO_RGB]
    most = np.maximum(np.maximum(offsets[0], offsets[1]), offsets[2])
    least = np.minimum(np.minimum(offsets[0], offsets[1]), offsets[2])
    found: NDArray[np.bool_] = (np.maximum(most + high - 255, -least - low) > SEEN).any(1)
    return found
