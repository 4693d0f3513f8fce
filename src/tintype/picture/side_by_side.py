"""Grey and colour in one picture, as a coloured picture of twice the width: so every format can be written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from tintype.picture.color import Bytes, as_float
from tintype.picture.picture import ArrayPixels, Band, Chroma, ColoredPicture, Metadata, Page, Pixels, reduce_bands
from tintype.picture.turn import upright

Float = NDArray[np.float32]


@dataclass(frozen=True)
class _Twice(Pixels):
    """A page's pixels (W wide) beside themselves."""

    pixels: Pixels
    size: tuple[int, int]

    def bands(self) -> Iterator[Band]:
        """All rows in order."""
        for band in self.pixels.bands():
            alpha = None if band.alpha is None else np.hstack([band.alpha, band.alpha])
            yield Band(band.top, np.hstack([band.luma, band.luma]), alpha)

    def reduced(self, longest: int) -> Float:
        """The whole, reduced."""
        return reduce_bands(self.bands(), self.size, longest)


@dataclass(frozen=True)
class _RightOnly:
    """No chroma in the left half, `chroma` of a page `width` wide in the right."""

    chroma: Chroma
    width: int

    def rows(self, luma: Float, top: int, step: tuple[int, int] = (1, 1)) -> Float:
        """As Chroma says. Where a sample lies across the middle it counts as left."""
        left = -(-self.width // step[1])
        out = np.zeros((*luma.shape, 2), np.float32)
        if luma.shape[1] > left:
            out[:, left:] = self.chroma.rows(np.ascontiguousarray(luma[:, left:]), top, step)
        return out


@dataclass(frozen=True)
class _Whole:
    """Full-size chroma (H, W, 2) in memory."""

    chroma: Float

    def rows(self, luma: Float, top: int, step: tuple[int, int] = (1, 1)) -> Float:
        """As Chroma says; of a coarser grid's samples, the middle."""
        height, width = self.chroma.shape[:2]
        rows = np.minimum(np.arange(top, top + luma.shape[0]) * step[0] + step[0] // 2, height - 1)
        columns = np.minimum(np.arange(luma.shape[1]) * step[1] + step[1] // 2, width - 1)
        picked: Float = self.chroma[rows[:, None], columns]
        return picked


def side_by_side(colored: ColoredPicture) -> ColoredPicture:
    """Each page upright, grey at the left and coloured at the right, with its profile and resolution and nothing else."""
    pages, chromas = [], []
    for page, chroma in zip(colored.picture.pages, colored.chroma, strict=True):
        if page.metadata.orientation != 1:
            page, chroma = _turned(page, chroma)
        size = page.size[0], 2 * page.size[1]
        metadata = Metadata(icc=page.metadata.icc, dpi=page.metadata.dpi)
        stored = tuple(item for item in page.stored if item[0] in ("compression", "alpha"))
        pages.append(Page(size, page.bits, page.has_alpha, _Twice(page.pixels, size), metadata, stored))
        chromas.append(_RightOnly(chroma, page.size[1]))
    # Of no file's format: a JPEG's coefficients, for one, are not this picture's.
    picture = replace(colored.picture, pages=tuple(pages), format="")
    return replace(colored, picture=picture, chroma=tuple(chromas))


def _turned(page: Page, chroma: Chroma) -> tuple[Page, Chroma]:
    """The page and its chroma upright, in memory."""
    bands = list(page.pixels.bands())
    turn = cast(Any, upright)
    luma: Bytes = turn(np.concatenate([b.luma for b in bands]), page.metadata.orientation)
    alpha = (
        turn(np.concatenate([b.alpha for b in bands if b.alpha is not None]), page.metadata.orientation)
        if page.has_alpha
        else None
    )
    color = turn(np.concatenate([chroma.rows(as_float(b.luma), b.top) for b in bands]), page.metadata.orientation)
    size = luma.shape[0], luma.shape[1]
    return replace(page, size=size, pixels=ArrayPixels(luma, alpha)), _Whole(color)
