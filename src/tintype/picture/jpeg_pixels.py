"""A JPEG file's pixels, decoded on demand: scaled down for what is small anyway, whole only where every pixel is needed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from tintype.errors import PictureError, TruncatedError
from tintype.picture.color import Bytes
from tintype.picture.picture import BAND_PIXELS, Band, Pixels, reduced_size
from tintype.picture.reading import Samples, refusing, truncated
from tintype.picture.reduce import average
from tintype.picture.segments import Header, plain

#: Longest side of the copy that is decoded when the file is opened, which is also what finds most broken files.
_PREVIEW = 1280


@dataclass(frozen=True)
class JpegPixels(Pixels):
    """Pixels of the JPEG file `data`.

    `direct`: the file's own Y plane is the luma, and its coefficients can be kept. Otherwise `samples` says how the
    decoded samples become luma. `ended`: the file lacked its end, which was put there.
    """

    path: Path
    data: bytes = field(repr=False)
    header: Header = field(repr=False)
    samples: Samples
    direct: bool
    _kept: dict[str, Image.Image] = field(default_factory=dict, repr=False, compare=False)
    _coming: list[Future[Image.Image]] = field(default_factory=list, repr=False, compare=False)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.header.frame.size

    def image(self) -> Image.Image:
        """The whole picture: mode L where `direct`, otherwise as the file has it. Raises PictureError."""
        kept = self._kept.get("preview")
        if kept is not None and kept.size == self.size[::-1]:
            return kept
        try:
            return self._coming.pop().result()
        except IndexError:
            return self._decoded(max(self.size))

    def prefetch(self) -> None:
        """Decode the whole in a thread of its own: the network leaves a core idle meanwhile."""
        if not self._coming and self._preview().size != self.size[::-1]:
            pool = ThreadPoolExecutor(1, "tintype-decode")
            self._coming.append(pool.submit(self._decoded, max(self.size)))
            pool.shutdown(wait=False)

    def bands(self) -> Iterator[Band]:
        """All rows in order. Raises PictureError."""
        image = self.image()
        height, width = self.size
        rows = max(1, BAND_PIXELS // width)
        for top in range(0, height, rows):
            yield self.samples.band(top, _array(image.crop((0, top, width, min(height, top + rows)))))

    def reduced(self, longest: int) -> NDArray[np.float32]:
        """The whole, reduced, from a decode at a half, a quarter or an eighth of the size where that is enough."""
        image = self._preview() if 2 * longest <= _PREVIEW else self._decoded(2 * longest)
        if not self.direct:
            image = Image.fromarray(self.samples.band(0, _array(image)).luma)
        h, w = reduced_size(self.size, longest)
        # A scaled decode rounds its size up: this many of its pixels are the picture.
        scale = next(s for s in (1, 2, 4, 8) if (-(-self.size[1] // s), -(-self.size[0] // s)) == image.size)
        tall, wide = self.size[0] / scale, self.size[1] / scale
        shrink = (
            max(1, image.width // (8 * w)),
            max(1, image.height // (8 * h)),
        )  # eight pixels a cell: fractions hardly matter
        if max(shrink) > 1:
            image = image.reduce(shrink)
        plane = average(np.asarray(image), (h, w), (tall / shrink[1], wide / shrink[0]))
        return np.asarray(np.clip(plane / 255, 0, 1), np.float32)

    def check(self) -> None:
        """Read the file to its end, decoding no more than a small picture needs. Raises PictureError."""
        self._preview()

    def _preview(self) -> Image.Image:
        if "preview" not in self._kept:
            self._kept["preview"] = self._decoded(_PREVIEW)
        return self._kept["preview"]

    def _decoded(self, longest: int) -> Image.Image:
        """Decoded at full size or a half, a quarter, an eighth of it, such that the longest side is at least `longest`."""
        h, w = self.size
        part = min(1.0, longest / max(h, w))
        wanted = (-int(-w * part // 1), -int(-h * part // 1))
        try:
            with refusing(self.path), JpegImageFile(BytesIO(plain(self.data, self.header))) as image:
                image.draft("L" if self.direct else None, wanted)
                image.decodermaxblock = (
                    len(self.data) + 1
                )  # in one go: between its usual pieces a thread would wait for others
                image.load()
                if image.mode not in ("L", "RGB", "CMYK"):
                    raise PictureError(self.path, f"holds colours of the kind {image.mode}, which is not supported")
                return image
        except TruncatedError:
            raise truncated(self.path) from None


def _array(image: Image.Image) -> Bytes:
    """An image (h, w, C)."""
    array = np.asarray(image)
    return array[..., None] if array.ndim == 2 else array
