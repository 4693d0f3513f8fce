"""What travels together: a file's pages with their pixels (read in bands, never all at once) and everything that isn't pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tintype.picture.color import Bytes, as_float, luma_of

#: Pixels in a band: small enough for the processor's caches, large enough to make Python's overhead vanish.
BAND_PIXELS = 1 << 18


@dataclass(frozen=True)
class Band:
    """Rows `top` .. `top + n` of a page: luma (n, W) uint8 or uint16, alpha (n, W) of the same type or None."""

    top: int
    luma: Bytes
    alpha: Bytes | None = None


class Pixels(Protocol):
    """Where a page's pixels come from. Its methods may be called any number of times, and from several threads."""

    def bands(self) -> Iterator[Band]:
        """All rows in order, in bands of about BAND_PIXELS pixels. Raises PictureError where the file is broken."""
        ...

    def reduced(self, longest: int) -> NDArray[np.float32]:
        """Luma (h, w) in [0, 1] of the whole page, box-averaged so that its longest side is at most `longest` (never enlarged)."""
        ...

    def prefetch(self) -> None:
        """All rows will be wanted soon: what can be done for that in the background may begin. By default nothing does."""
        return


@dataclass(frozen=True)
class Metadata:
    """What a file carries besides pixels. None means that it has none; blocks are kept as bytes, untouched."""

    icc: bytes | None = None  #: the profile as found in the file (grey, RGB, CMYK ...)
    exif: bytes | None = None  #: a TIFF-structured block, without the leading "Exif\0\0"
    xmp: bytes | None = None  #: the packet
    iptc: bytes | None = None  #: IPTC-IIM records
    dpi: tuple[float, float] | None = None  #: pixels per inch, (x, y)
    orientation: int = 1  #: EXIF orientation, 1 .. 8: how to turn the stored pixels to see them upright
    extra: tuple[
        tuple[str, bytes], ...
    ] = ()  #: what only the same format can keep: PNG chunks, TIFF tags; (name, payload)


@dataclass(frozen=True)
class Page:
    """One picture of a file: its size (H, W) as stored (before orientation), 8 or 16 bits, pixels and metadata."""

    size: tuple[int, int]
    bits: int
    has_alpha: bool
    pixels: Pixels
    metadata: Metadata = field(default_factory=Metadata)
    #: How the file stored it, for `gray` to give back: e.g. {"bits": "1", "photometric": "miniswhite"}.
    stored: tuple[tuple[str, str], ...] = ()
    #: What had to be changed in reading, one sentence each ("CMYK was converted to sRGB through its profile").
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Picture:
    """A file's pictures: `pages` (one, but for TIFF), where it came from and its format ("jpeg", "png", "tiff" ...)."""

    pages: tuple[Page, ...]
    path: Path | None = None
    format: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the first page, as stored."""
        return self.pages[0].size


class Chroma(Protocol):
    """Full-size chroma of a page, made row by row from the luma that it will join (see refine.guided)."""

    def rows(self, luma: NDArray[np.float32], top: int, step: tuple[int, int] = (1, 1)) -> NDArray[np.float32]:
        """Chroma (n, w, 2) for luma (n, w) in [0, 1], whose first row is row `top` of a grid with one sample each `step` = (rows, columns) pixels."""
        ...


@dataclass(frozen=True)
class ColoredPicture:
    """A picture and the chroma of each of its pages: joined only when it is asked for."""

    picture: Picture
    chroma: tuple[Chroma, ...]
    #: Who made the colour: method's name and its weights' sha256 ("" for a method without weights).
    method: str
    sha256: str = ""
    notes: tuple[str, ...] = ()

    def save(self, path: str | PathLike[str], *, overwrite: bool = False, chroma: str = "420") -> None:
        """Write to `path`, whose ending names the format. `chroma` is JPEG's subsampling, "420" or "444". Raises SaveError."""
        from tintype.picture.files import save_colored

        save_colored(self, Path(path), overwrite=overwrite, subsampling=chroma)

    def array(self, page: int = 0) -> Bytes:
        """RGB (H, W, 3) of one page, uint8 or uint16, as stored (not turned upright)."""
        from tintype.picture.join import join

        pixels, field_ = self.picture.pages[page].pixels, self.chroma[page]
        return np.concatenate([join(b.luma, field_.rows(as_float(b.luma), b.top)) for b in pixels.bands()])


@dataclass(frozen=True)
class ArrayPixels(Pixels):
    """Pixels in memory: luma (H, W) uint8 or uint16 and alpha, likewise, or None."""

    luma: Bytes
    alpha: Bytes | None = None

    def bands(self) -> Iterator[Band]:
        """All rows in order."""
        h, w = self.luma.shape
        rows = max(1, BAND_PIXELS // w)
        for top in range(0, h, rows):
            yield Band(top, self.luma[top : top + rows], None if self.alpha is None else self.alpha[top : top + rows])

    def reduced(self, longest: int) -> NDArray[np.float32]:
        """The whole, reduced."""
        return reduce_bands(self.bands(), (self.luma.shape[0], self.luma.shape[1]), longest)


def from_array(array: Bytes) -> Picture:
    """A picture of an array: (H, W), (H, W, 1), (H, W, 2: grey, alpha), (H, W, 3: RGB) or (H, W, 4: RGB, alpha), uint8 or uint16.

    Raises ValueError for any other shape or type.
    """
    if array.dtype not in (np.uint8, np.uint16) or array.ndim not in (2, 3) or 0 in array.shape:
        raise ValueError(
            f"an array of shape {array.shape} and type {array.dtype} is no picture; expected (H, W[, 1 to 4]) uint8 or uint16"
        )
    if array.ndim == 2:
        array = array[..., None]
    channels = array.shape[2]
    if channels > 4:
        raise ValueError(
            f"an array with {channels} channels is no picture; expected 1 to 4 (grey, grey and alpha, RGB, RGB and alpha)"
        )
    alpha = array[..., -1] if channels in (2, 4) else None
    luma = luma_of(array[..., :3]) if channels > 2 else array[..., 0]
    page = Page((array.shape[0], array.shape[1]), 8 * array.dtype.itemsize, alpha is not None, ArrayPixels(luma, alpha))
    return Picture((page,))


def reduced_size(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """`size` (H, W) scaled so that the longest side is at most `longest`, ratio kept, each side at least 1."""
    scale = min(1.0, longest / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def reduce_bands(bands: Iterator[Band], size: tuple[int, int], longest: int) -> NDArray[np.float32]:
    """Box-average a page of `size` (H, W), given in bands, to `reduced_size`: luma (h, w) float32 in [0, 1].

    Each pixel's weight is split over the cells it touches, so any ratio is exact; sums are float64 in row order, so
    the band height changes nothing.
    """
    height, width = size
    h, w = reduced_size(size, longest)
    total = np.zeros((h, w))
    columns = np.minimum((np.arange(w + 1) * width) / w, width)
    for band in bands:
        luma = as_float(band.luma).astype(np.float64)
        # Integral along the rows, read off at fractional columns: the exact sum over each cell's width.
        integral = np.concatenate([np.zeros((len(luma), 1)), np.cumsum(luma, 1)], 1)
        left = np.minimum(columns.astype(np.int64), width - 1)
        edges = integral[:, left] + (columns - left) * luma[:, left]
        cells = np.diff(edges, axis=1)
        for i, row in enumerate(cells, band.top):
            first, last = i * h / height, (i + 1) * h / height
            k = int(first)
            share = (min(last, k + 1) - first) / (last - first) if last > first else 1.0
            total[min(k, h - 1)] += share * row
            if share < 1 and k + 1 < h:
                total[k + 1] += (1 - share) * row
    return np.clip(total * (h * w / (height * width)), 0, 1).astype(np.float32)


def with_note(page: Page, note: str) -> Page:
    """`page` with one more sentence on what was changed."""
    return replace(page, notes=(*page.notes, note))
