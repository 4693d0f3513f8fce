"""Hints for training: of some pictures, the true colours of a few places, as a person might give them."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from tintype.nets.tint import CHROMA_SCALE

#: Of the hinted pictures, the most points that one is given. Their number's logarithm is even: few points count as much as many.
_MOST = 64
#: A point is a square of at most so many pixels a side (Zhang et al. 2017, section 3.1).
_WIDEST = 9


def hints_of(chroma: Tensor, share: float, rng: np.random.Generator) -> Tensor:
    """Hints (N, 3, H, W), as nets.tint takes them, that tell some of the chroma (N, 2, H, W): none in 1 - `share` of the pictures."""
    told = chroma.new_zeros(chroma.shape[0], 3, *chroma.shape[2:])
    for picture in np.flatnonzero(rng.random(len(chroma)) < share):
        points = int(math.exp(rng.uniform(0, math.log(_MOST + 1))))
        told[int(picture)] = revealed(chroma[int(picture)], points, rng)
    return told


def revealed(chroma: Tensor, points: int, rng: np.random.Generator) -> Tensor:
    """Hints (3, H, W) of so many `points` of one picture's chroma (2, H, W).

    Each point is a square of 1, 3, 5, 7 or 9 pixels a side with the one mean colour of what it covers; its place is drawn evenly.
    """
    h, w = chroma.shape[1:]
    told = chroma.new_zeros(3, h, w)
    for y, x, side in zip(
        rng.integers(0, h, points),
        rng.integers(0, w, points),
        rng.integers(1, _WIDEST + 1, points),
        strict=True,
    ):
        place = (slice(max(0, y - side // 2), y + side // 2 + 1), slice(max(0, x - side // 2), x + side // 2 + 1))
        colour = chroma[(slice(None), *place)].mean((1, 2)) / CHROMA_SCALE
        told[(slice(0, 2), *place)] = colour[:, None, None]
        told[(2, *place)] = 1
    return told
