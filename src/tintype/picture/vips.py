"""Lazy reading through libvips: a file is opened anew for each pass and decoded band by band, so that its size costs no memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyvips
from numpy.typing import NDArray

from tintype.errors import PictureError
from tintype.picture.color import Bytes
from tintype.picture.libvips import prepare
from tintype.picture.picture import BAND_PIXELS, Band, Pixels, reduce_bands
from tintype.picture.reading import Samples, ended, refusing

_TYPES = {"uchar": np.uint8, "ushort": np.uint16}


@dataclass(frozen=True)
class VipsPixels(Pixels):
    """Pixels of a page of `size` (H, W) that `load` opens, sequentially. Rows from `there` on are missing from the file, and grey."""

    path: Path
    size: tuple[int, int]
    samples: Samples
    load: Callable[[], pyvips.Image]
    there: int

    def bands(self) -> Iterator[Band]:
        """All rows in order. Raises PictureError, TruncatedError."""
        prepare()
        height, width = self.size
        rows = max(1, BAND_PIXELS // width)
        with refusing(self.path):
            image = self.load()
            if (image.height, image.width) != self.size or image.format not in _TYPES:
                raise PictureError(
                    self.path, f"is not as its header says: {image.width} x {image.height}, {image.format}"
                )
            region = pyvips.Region.new(image)
            for top in range(0, height, rows):
                n = min(rows, height - top)
                yield ended(self.samples.band(top, self._rows(image, region, top, n)), self.there)

    def _rows(self, image: pyvips.Image, region: pyvips.Region, top: int, n: int) -> Bytes:
        """Samples (n, W, C) from row `top` on; of missing rows, any."""
        good = max(0, min(n, self.there - top))
        shape = image.width, image.bands
        rows = np.frombuffer(region.fetch(0, top, image.width, good) if good else b"", _TYPES[image.format])
        rows = rows.reshape(good, *shape)
        return rows if good == n else np.concatenate([rows, np.zeros((n - good, *shape), rows.dtype)])

    def reduced(self, longest: int) -> NDArray[np.float32]:
        """The whole, reduced."""
        return reduce_bands(self.bands(), self.size, longest)
