"""Blocks of coded chroma that would change a pixel's grey by clipping, found and given colours that don't.

A block is decoded and upsampled as a decoder does it, and joined with its luma: the pixels that clip are known, and by
how many levels of grey. A few hardly visible ones are allowed. Blocks with more are coded again, from a target that is
drawn away from the gamut's faces where pixels clip; where that doesn't help, with one colour for the whole block; and
only then with a paler one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tintype.picture.color import CHROMA_TO_RGB, WEIGHTS
from tintype.picture.dct import Coder, Float, product
from tintype.picture.gamut import fit

#: Levels of grey that a pixel may lose where it clips without being changed by it: a decoder's rounding hides them.
SEEN = 0.33
#: Levels from which on a pixel's grey is rounded to another, but for float32's own rounding.
_CHANGED = 0.499
#: Levels that no pixel may lose: rounded, it stays within two, also where a decoder's arithmetic is not quite ours.
_MOST = 1.6
#: Share of pixels that may change.
_SHARE = 0.003

#: How often the target of a block is drawn away from where it clips.
_PULLS = 4
#: How much of its colour a block of one colour keeps, until it doesn't clip.
_FADES = (1.0, 0.8, 0.6, 0.45, 0.3, 0.15, 0.0)


@dataclass(frozen=True)
class Upsampling:
    """How a decoder makes pixels of a block's samples: (64, P), and which of the P pixels are the block's own rather than next to it.

    With 4:2:0, libjpeg mixes the nearest sample and the next ones 9 : 3 : 3 : 1. Of the neighbour blocks' samples
    nothing is known here: they are taken to be as their nearest ones in this block.
    """

    weights: Float
    own: NDArray[np.bool_]
    bias: Float  #: added before what is mixed is rounded down

    @property
    def identity(self) -> bool:
        """Whether pixels are the samples themselves."""
        return len(self.own) == 64


@cache
def upsampling(sampling: int) -> Upsampling:
    """For chroma reduced by `sampling` = 1 (P = 8 x 8 pixels) or 2 (P = 18 x 18) both ways."""
    if sampling == 1:
        return Upsampling(np.eye(64, dtype=np.float32), np.ones(64, bool), np.zeros(64, np.float32))
    pixel = np.arange(-1, 17)
    near, far = pixel // 2, pixel // 2 + np.where(pixel % 2, 1, -1)
    line = np.zeros((8, 18), np.float32)
    np.add.at(line, (near.clip(0, 7), pixel + 1), 0.75)
    np.add.at(line, (far.clip(0, 7), pixel + 1), 0.25)
    inside = (pixel >= 0) & (pixel < 16)
    # libjpeg's: halves go up in even columns, down in odd ones.
    bias = np.tile(np.where(pixel % 2, 7, 8) / 16, 18).astype(np.float32)
    return Upsampling(np.kron(line, line), np.outer(inside, inside).ravel(), bias)


class _Judge:
    """What coded blocks do to their pixels' luma (N, P), in levels."""

    def __init__(self, luma: Float, coder: Coder, up: Upsampling) -> None:
        self.luma, self.coder, self.up = luma, coder, up

    def of(self, blocks: NDArray[np.int64]) -> _Judge:
        """The judge of these blocks only."""
        return _Judge(self.luma[blocks], self.coder, self.up)

    def chroma(self, coded: Float) -> Float:
        """Coefficients (2, N, 64) -> the pixels' chroma (2, N, P) in levels."""
        samples = self.coder.decode(coded)
        return samples if self.up.identity else product(samples, self.up.weights)

    def loss(self, chroma: Float) -> Float:
        """Levels of grey (N, P) by which clipping changes each pixel."""
        total, part = np.zeros_like(self.luma), np.empty_like(self.luma)
        for factors, weight in zip(CHROMA_TO_RGB, WEIGHTS, strict=True):
            channel = self.luma.copy()
            for factor, plane in zip(factors, chroma, strict=True):
                if factor:
                    channel += np.multiply(plane, np.float32(factor), out=part)
            channel -= np.minimum(np.maximum(channel, 0, out=part), 255, out=part)
            channel *= np.float32(weight)
            total += channel
        return np.abs(total, out=total)

    def change(self, coded: Float) -> Float:
        """Levels by which grey (N, P) is off once channels are rounded as libjpeg rounds them; from a half on it comes out changed."""
        samples = self.coder.decode(coded)
        chroma = samples if self.up.identity else np.floor(product(samples, self.up.weights) + self.up.bias)
        total, part = -self.luma, np.empty_like(self.luma)
        for factors, weight in zip(CHROMA_TO_RGB, WEIGHTS, strict=True):
            np.multiply(chroma[0], np.float32(factors[0]), out=part)
            part += chroma[1] * np.float32(factors[1])
            np.rint(part, out=part)
            part += self.luma
            np.minimum(np.maximum(part, 0, out=part), 255, out=part)
            part *= np.float32(weight)
            total += part
        return np.abs(total, out=total)

    def judged(self, coded: Float) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """How many of each block's own pixels the coefficients (2, N, 64) change (N,), and whether one changes too much (N,)."""
        change = self.change(coded)
        return ((change > _CHANGED) & self.up.own).sum(1), change.max(1) > _MOST


def mend(
    coded: Float, samples: Float, luma: NDArray[np.uint8], coder: Coder, sampling: int, pixels: int
) -> tuple[Float, int]:
    """Coefficients (2, N, 64) of blocks, those that clip coded anew; and how many of them got a single colour.

    `samples` (2, N, 64) in [-0.5, 0.5] is what was coded, `luma` (N, P) that of the pixels by `upsampling`. `pixels` is
    the number of all pixels of the stripe that the blocks are from: a small share of them may change.
    """
    judge = _Judge(luma.astype(np.float32), coder, upsampling(sampling))
    hurt, much = judge.judged(coded)
    touched = np.nonzero(much | (hurt > 0))[0]
    if not touched.size:
        return coded, 0
    budget = int(_SHARE * pixels)
    allowed = budget // touched.size
    out, target = coded.copy(), samples.copy()
    at, now = touched, coded[:, touched]
    for _ in range(_PULLS):
        failing = much[at] | (hurt[at] > allowed)
        at, now = at[failing], now[:, failing]
        if not at.size:
            return out, 0
        target[:, at] += _inwards(judge.of(at), now)
        now = coder.quantize(target[:, at])
        changed, too_much = judge.of(at).judged(now)
        better = ~too_much & (much[at] | (changed < hurt[at]))
        took = at[better]
        out[:, took], hurt[took], much[took] = now[:, better], changed[better], False
    at = at[much[at] | (hurt[at] > allowed)]
    # What the others have left of the budget goes to the blocks that need the least of it.
    left = budget - int(hurt[touched].sum() - hurt[at].sum())
    need = np.where(much[at], budget + 1, hurt[at])
    at, need = at[order := np.argsort(need, kind="stable")], need[order]
    kept = int((need.cumsum() <= left).sum())
    at, left = at[kept:], left - int(need[:kept].sum())
    mean, flat = samples.mean(2, keepdims=True), len(at)
    for fade in _FADES:
        if not at.size:
            break
        out[:, at] = now = coder.quantize(np.repeat(np.float32(fade) * mean[:, at], 64, 2))
        changed, too_much = judge.of(at).judged(now)
        clips = too_much | (changed > left // at.size)
        at, left = at[clips], left - int(changed[~clips].sum())
    return out, flat


def _inwards(judge: _Judge, coded: Float) -> Float:
    """Change of samples (2, N, 64), in [-1, 1], that would bring the pixels that clip back into the gamut."""
    unit = np.float32(1 / 255)
    chroma = judge.chroma(coded)
    seen = (judge.loss(chroma) > SEEN) | (judge.change(coded) > _CHANGED)
    luma, chroma = judge.luma * unit, chroma * unit
    change = np.moveaxis(fit(luma, luma, np.moveaxis(chroma, 0, -1)), -1, 0) - chroma
    change[:, ~seen] = 0
    if judge.up.identity:
        return change
    # What a sample's pixels ask of it, by their weights; a pixel that doesn't clip asks nothing.
    back = np.ascontiguousarray(judge.up.weights.T)
    asked = product(change, back)
    asked /= np.maximum(product(seen.astype(np.float32), back), np.float32(1e-6))
    return asked
