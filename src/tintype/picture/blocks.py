"""From chroma to quantized DCT blocks that hardly clip when they are decoded beside their luma.

Each chroma sample is fitted to the gamut of all the pixels that it reaches: with 4:2:0, libjpeg's "fancy" upsampling
mixes it into the 4 x 4 pixels around it. A pixel's decoded chroma is a weighted mean of samples that all fit its luma,
and the gamut at fixed luma is convex, so it fits, too. What is left is the noise of quantization: the few blocks in
which it would change a pixel's grey are found by decoding them, and mended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tintype.picture.coefficients import Blocks, Table
from tintype.picture.color import CHROMA_TO_RGB, WEIGHTS
from tintype.picture.gamut import fit

Float = NDArray[np.float32]
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
#: to the gamut in so many blocks that mending them costs more colour than the noise itself.
_COARSEST = 30.0

#: Levels of grey that a chroma sample may cost where it clips: with the rounding of a decoder that is hardly seen.
_LOSS = 0.33
#: What a few samples of a block may cost, and how many: with 4:2:0 a sample is judged by the most extreme of the 16 pixels
#: that it reaches, so that, measured on photographs in any colours, only a quarter as many pixels as samples change.
#: Fewer are allowed, step by step, where more than _SHARE of a stripe's samples are such.
_MOST_LOSS = 1.8
_SPARED = {1: (0,), 2: (8, 3, 0)}
_SHARE = 0.02

#: How strongly, round by round, a block's target is moved away from where it clips, and then how far its colour is reduced.
_PUSHES = (1.0, 1.5, 2.0)
_FADES = (0.75, 0.5, 0.25, 0.0)


def chroma_table(luma: Table) -> Table:
    """libjpeg's chroma table at the quality of a luma table (8, 8), but not coarser than quality 85's."""
    scale = min(float(np.median(100 * luma.reshape(64).astype(np.float64) / _LUMA)), _COARSEST)
    return np.clip(np.floor((_CHROMA * scale + 50) / 100), 1, 255).astype(np.uint16)


@dataclass(frozen=True)
class Reach:
    """Luma around each chroma sample, (h, w): its mean, for the guide, in [0, 1]; its extremes over all pixels the sample reaches, in levels."""

    mean: Float
    low: Luma
    high: Luma
    spared: tuple[int, ...]  #: how many samples of a block may clip a little, from the most to the fewest


def reach_of(padded: Luma, sampling: int) -> Reach:
    """From luma (n + 2, w + 2) of a stripe with one more pixel on each side; n and w are multiples of `sampling`."""
    inner = padded[1:-1, 1:-1]
    if sampling == 1:
        return Reach(inner * np.float32(1 / 255), inner, inner, _SPARED[1])
    pairs = padded[1:-1:2].astype(np.uint16)
    pairs += padded[2::2]
    mean = (pairs[:, 1:-1:2] + pairs[:, 2::2]) * np.float32(1 / 1020)
    return Reach(mean, _extremes(padded, np.minimum), _extremes(padded, np.maximum), _SPARED[2])


def _extremes(padded: Luma, pick: np.ufunc) -> Luma:
    """Over 4 x 4 pixels each two: along columns first, then along rows; whole rows, so that the processor's vectors are used."""
    rows = pick(pick(padded[:-2:2], padded[1:-1:2]), pick(padded[2::2], padded[3::2]))
    pairs = pick(rows[:, :-1], rows[:, 1:])
    return np.ascontiguousarray(pick(pairs[:, :-2], pairs[:, 2:])[:, ::2])


class Coder:
    """Forward and backward DCT with one quantization table: 64 x 64 matrices that contain the table."""

    def __init__(self, table: Table) -> None:
        k = np.arange(8)
        cosines = np.sqrt(np.where(k == 0, 1, 2) / 8)[:, None] * np.cos((2 * k[None] + 1) * k[:, None] * np.pi / 16)
        both, steps = np.kron(cosines, cosines), table.reshape(64, 1).astype(np.float64)
        self.forward: Float = (255 * both / steps).T.astype(np.float32)
        self.backward: Float = (both * steps).astype(np.float32)
        # The most that a coefficient of one step adds to any sample: a block whose sum of those is small can't clip.
        self.most: Float = np.repeat(np.abs(both * steps).max(1)[:, None], 8, 1).astype(np.float32)

    def quantize(self, samples: Float) -> Float:
        """Samples (N, 64) in [-0.5, 0.5] -> quantized coefficients (N, 64), still as floats."""
        coded = _product(samples, self.forward)
        return np.rint(coded, out=coded)

    def decode(self, coded: Float) -> Float:
        """Coefficients (..., 64) -> samples in levels, as a decoder rounds them."""
        samples = _product(coded, self.backward)
        return np.rint(samples, out=samples)


def _product(rows: Float, matrix: Float) -> Float:
    """`rows` (..., 64) @ `matrix` (64, n), in pieces too small for the BLAS library to start threads of its own: there are enough already."""
    flat = rows.reshape(-1, 64)
    whole = len(flat) // 32 * 32
    out = np.empty((len(flat), matrix.shape[1]), np.float32)
    np.matmul(flat[:whole].reshape(-1, 32, 64), matrix, out=out[:whole].reshape(-1, 32, matrix.shape[1]))
    np.matmul(flat[whole:], matrix, out=out[whole:])
    return out.reshape(*rows.shape[:-1], matrix.shape[1])


def code(reach: Reach, chroma: Float, coder: Coder) -> tuple[Blocks, Blocks]:
    """Chroma (h, w, 2) of a stripe -> Cb's and Cr's blocks (rows, columns, 8, 8), int16."""
    unit = np.float32(1 / 255)
    fitted = np.moveaxis(fit(reach.low * unit, reach.high * unit, chroma), -1, 0)
    samples = _blocks(fitted)
    coded = coder.quantize(samples)
    low, high = _blocks(reach.low), _blocks(reach.high)
    suspects = _suspects(coded, low, high, coder)
    if suspects.size:
        wanted = (samples[:, suspects], low[suspects].astype(np.float32), high[suspects].astype(np.float32))
        for spared in reach.spared:
            mended, lossy = _mended(coded[:, suspects], *wanted, spared, coder)
            if lossy <= _SHARE * low.size:
                break
        coded[:, suspects] = mended
    rows, columns = -(-fitted.shape[1] // 8), -(-fitted.shape[2] // 8)
    cb, cr = coded.astype(np.int16).reshape(2, rows, columns, 8, 8)
    return cb, cr


def _blocks(planes: NDArray[_Kind]) -> NDArray[_Kind]:
    """Planes (..., h, w) -> (..., N, 64), edges repeated."""
    h, w = planes.shape[-2:]
    if h % 8 or w % 8:
        planes = np.pad(planes, [(0, 0)] * (planes.ndim - 2) + [(0, -h % 8), (0, -w % 8)], "edge")
    rows, columns = planes.shape[-2] // 8, planes.shape[-1] // 8
    blocks = planes.reshape(*planes.shape[:-2], rows, 8, columns, 8).swapaxes(-3, -2)
    return blocks.reshape(*planes.shape[:-2], rows * columns, 64)


def _suspects(coded: Float, low: Luma, high: Luma, coder: Coder) -> NDArray[np.int64]:
    """Blocks that could clip: a channel's offset stays within what the other coefficients add at most to what the first one does."""
    mean = coded[..., 0] * coder.backward[0, 0]
    spread = _product(np.abs(coded), coder.most)[..., 0] - np.abs(mean)
    below, above = low.min(1) + np.float32(_LOSS), 255 + np.float32(_LOSS) - high.max(1)
    found = np.zeros(len(below), bool)
    for to_cb, to_cr in CHROMA_TO_RGB:
        offset = to_cb * mean[0] + to_cr * mean[1]
        most = abs(to_cb) * spread[0] + abs(to_cr) * spread[1]
        found |= (most - offset > below) | (most + offset > above)
    return np.nonzero(found)[0]


def _clips(decoded: Float, low: Float, high: Float, spared: int) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    """Which of N blocks can't stay as they are, and how many of each one's samples cost grey.

    For decoded chroma (2, N, 64) in levels and luma's extremes (N, 64).
    """
    offsets = [to_cb * decoded[0] + to_cr * decoded[1] for to_cb, to_cr in CHROMA_TO_RGB]
    room = 255 - high
    most = np.maximum(np.maximum(offsets[0], offsets[1]), offsets[2])
    least = np.minimum(np.minimum(offsets[0], offsets[1]), offsets[2])
    # No sample can cost more grey than its worst channel clips: the rest is for those blocks only.
    near = np.nonzero(np.maximum(most - room, -least - low).max(1) > _LOSS)[0]
    loss = _loss([o[near] for o in offsets], low[near], room[near])
    clips, lossy = np.zeros(len(low), bool), np.zeros(len(low), np.uint8)
    lossy[near] = (loss > _LOSS).view(np.uint8).sum(1, np.uint8)
    clips[near] = (lossy[near] > spared) | (loss.max(1) > _MOST_LOSS)
    return clips, lossy


def _loss(offsets: list[Float], low: Float, room: Float) -> Float:
    """Levels of grey that a pixel loses at most, among those that a sample reaches, by the channels that clip: (N, 64)."""
    below, above = np.zeros_like(low), np.zeros_like(low)
    for offset, weight in zip(offsets, WEIGHTS, strict=True):
        below += np.float32(weight) * np.maximum(-offset - low, 0)
        above += np.float32(weight) * np.maximum(offset - room, 0)
    return np.maximum(below, above)


def _mended(coded: Float, samples: Float, low: Float, high: Float, spared: int, coder: Coder) -> tuple[Float, int]:
    """Coefficients (2, N, 64) of which those of blocks that clip are found anew: pushed away from the gamut's faces, or else paler.

    Also how many samples still cost grey.

    `samples` (2, N, 64) in [-0.5, 0.5] are what was coded, `low` and `high` (N, 64) luma's extremes in levels.
    """
    unit = np.float32(1 / 255)
    decoded = coder.decode(coded)
    clips, lossy = _clips(decoded, low, high, spared)
    at = np.nonzero(clips)[0]
    target, decoded = samples[:, at], decoded[:, at]
    for kind, size in (*(("push", p) for p in _PUSHES), *(("fade", f) for f in _FADES)):
        if not at.size:
            break
        lo, hi = low[at], high[at]
        if kind == "push":
            decoded *= unit
            inside = np.moveaxis(fit(lo * unit, hi * unit, np.moveaxis(decoded, 0, -1)), -1, 0)
            target += np.float32(size) * (inside - decoded)
        else:
            target = np.float32(size) * samples[:, at]
        coded[:, at] = new = coder.quantize(target)
        decoded = coder.decode(new)
        still, lossy[at] = _clips(decoded, lo, hi, spared)
        at, target, decoded = at[still], target[:, still], decoded[:, still]
    return coded, int(lossy.sum(dtype=np.int64))
