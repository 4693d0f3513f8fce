"""What a saver gets: a page's finished samples, in bands, and what belongs to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tintype.errors import SaveError
from tintype.picture.color import Bytes
from tintype.picture.picture import Metadata, Page


@dataclass(frozen=True)
class Raster:
    """A page to be written: `bands` gives samples (n, W, channels) from top to bottom, anew at each call."""

    size: tuple[int, int]
    bits: int  #: 8 or 16
    channels: int  #: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha
    bands: Callable[[], Iterator[Bytes]]
    metadata: Metadata
    #: How the original was stored, where its format should be given back (Page.stored); {} for "as the samples are".
    stored: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_alpha(self) -> bool:
        """Whether the last channel is alpha."""
        return self.channels in (2, 4)

    def whole(self) -> Bytes:
        """All samples (H, W, channels)."""
        out = np.empty((*self.size, self.channels), np.uint8 if self.bits == 8 else np.uint16)
        top = 0
        for band in self.bands():
            out[top : top + len(band)] = band
            top += len(band)
        return out

    def strips(self, rows: int) -> Iterator[Bytes]:
        """The samples cut anew into strips of `rows` rows, the last one shorter."""
        rest: list[Bytes] = []
        have = 0
        for band in self.bands():
            rest.append(band)
            have += len(band)
            if have >= rows:
                joined = np.concatenate(rest) if len(rest) > 1 else band
                cut = have // rows * rows
                yield from (joined[k : k + rows] for k in range(0, cut, rows))
                rest, have = [joined[cut:]], have - cut
        if have:
            yield np.concatenate(rest)

    def depth(self, path: Path, *allowed: int) -> int:
        """The original's bits per sample where it is one of `allowed` below the samples' own, they are grey, and every sample is one of its steps; else `bits`."""
        bits = int(self.stored.get("bits", "0"))
        if bits not in allowed or bits >= self.bits or self.channels != 1:
            return self.bits
        return (
            bits
            if all((rescale(rescale(b, self.bits, bits), bits, self.bits) == b).all() for b in self.bands())
            else self.bits
        )


def rescale(samples: Bytes, bits: int, new_bits: int) -> Bytes:
    """Samples of `bits` to `new_bits` of full range, rounded: up and down again gives the same back."""
    top, new_top = 2**bits - 1, 2**new_bits - 1
    wide = samples.astype(np.uint32)
    out = (
        wide * np.uint32(new_top // top)
        if new_top % top == 0
        else (wide * np.uint32(new_top) + np.uint32(top // 2)) // np.uint32(top)
    )
    return out.astype(np.uint8 if new_bits <= 8 else np.uint16)


@dataclass(frozen=True)
class Limits:
    """What a format can hold; 0 is no limit."""

    name: str
    bits: int = 16
    alpha: bool = True
    longest: int = 0


def require(path: Path, page: Page, limits: Limits) -> None:
    """Raises SaveError where a format can't hold the page, naming formats that can."""
    if page.bits > limits.bits:
        raise SaveError(path, f"{limits.name} can't hold 16 bits per sample", "save as .png, .tif or .jp2")
    if page.has_alpha and not limits.alpha:
        raise SaveError(path, f"{limits.name} can't hold transparency", "save as .png or .tif")
    if limits.longest and max(page.size) > limits.longest:
        raise SaveError(path, f"{limits.name} can't be longer than {limits.longest:,} pixels", "save as .png or .tif")
