"""A JPEG file's pixels, decoded on demand: scaled down for what is small anyway, whole only where every pixel is needed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from tintype.errors import DamagedError, PictureError, TruncatedError
from tintype.picture.color import Bytes
from tintype.picture.picture import BAND_PIXELS, Band, Pixels, reduced_size
from tintype.picture.reading import PARTLY, Samples, refusing, truncated
from tintype.picture.reduce import average
from tintype.picture.segments import Header, plain

#: Longest side of the copy that is decoded when the file is opened, which is also what finds most broken files.
_PREVIEW = 1280
#: What TurboJPEG says where it refuses a header, of odd samplings for one, before anything is decoded.
_REFUSED = re.compile(r"tj\w+\(\): ")
_CUT = "Premature end of JPEG file"


@dataclass(frozen=True)
class JpegPixels(Pixels):
    """Pixels of the JPEG file `data`.

    `direct`: the file's own Y plane is the luma, and its coefficients can be kept. Otherwise `samples` says how the
    decoded samples become luma.
    """

    path: Path
    data: bytes = field(repr=False)
    header: Header = field(repr=False)
    samples: Samples
    direct: bool
    # A copy by dataclasses.replace gets new ones.
    _kept: dict[str, Bytes] = field(init=False, default_factory=dict, repr=False, compare=False)
    _coming: list[Future[Bytes]] = field(init=False, default_factory=list, repr=False, compare=False)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.header.frame.size

    def whole(self) -> Bytes:
        """All samples (H, W, C): luma where `direct`, otherwise as the file has them. Raises PictureError."""
        kept = self._kept.get("preview")
        if kept is not None and kept.shape[:2] == self.size:
            return kept
        try:
            return self._coming.pop().result()
        except IndexError:
            return self._decoded(1)

    def prefetch(self) -> None:
        """Decode the whole in a thread of its own: the network leaves a core idle meanwhile."""
        if not self._coming and self.preview().shape[:2] != self.size:
            pool = ThreadPoolExecutor(1, "tintype-decode")
            self._coming.append(pool.submit(self._decoded, 1))
            pool.shutdown(wait=False)

    def bands(self) -> Iterator[Band]:
        """All rows in order. Raises PictureError."""
        whole = self.whole()
        height, width = self.size
        rows = max(1, BAND_PIXELS // width)
        for top in range(0, height, rows):
            yield self.samples.band(top, whole[top : top + rows])

    def reduced(self, longest: int) -> NDArray[np.float32]:
        """The whole, reduced, from a decode at a half, a quarter or an eighth of the size where that is enough."""
        large = 2 * longest > _PREVIEW
        scale = self._scale(2 * longest if large else _PREVIEW)
        samples = self._decoded(scale) if large else self.preview()
        image = Image.fromarray(samples[..., 0] if self.direct else self.samples.band(0, samples).luma)
        h, w = reduced_size(self.size, longest)
        # A scaled decode rounds its size up: this many of its pixels are the picture.
        tall, wide = self.size[0] / scale, self.size[1] / scale
        # Eight pixels a cell: fractions hardly matter.
        shrink = max(1, image.width // (8 * w)), max(1, image.height // (8 * h))
        if max(shrink) > 1:
            image = image.reduce(shrink)
        plane = average(np.asarray(image), (h, w), (tall / shrink[1], wide / shrink[0]))
        return np.asarray(np.clip(plane / 255, 0, 1), np.float32)

    def check(self) -> bool:
        """Read the file to its end, decoding no more than a small picture needs. Whether that shows that nothing is missing from it.

        Raises TruncatedError, or DamagedError, which ends with libjpeg's first warning.
        """
        try:
            small = self._luma(self._scale(_PREVIEW))
        except ValueError as error:
            warning = str(error).removeprefix("Corrupt JPEG data: ")
            if _CUT in warning:
                raise truncated(self.path, partly=True) from None
            if not _REFUSED.match(warning):
                raise DamagedError(self.path, f"is damaged: {warning}", PARTLY) from None
            self.preview()
            return False
        if self.direct:
            self._kept["preview"] = small
        self.preview()
        return True

    def preview(self) -> Bytes:
        """Samples (h, w, C) of a reduced copy, forgiving what can be forgiven. Raises PictureError."""
        if "preview" not in self._kept:
            self._kept["preview"] = self._decoded(self._scale(_PREVIEW))
        return self._kept["preview"]

    def _scale(self, longest: int) -> int:
        """The most that a decode may divide the size by, such that the longest side is at least `longest`."""
        return next(s for s in (8, 4, 2, 1) if s == 1 or max(self.size) >= s * longest)

    def _decoded(self, scale: int) -> Bytes:
        """Samples (h, w, C), a `scale`-th (1, 2, 4, 8) of the size, rounded up. Raises PictureError."""
        if self.direct:
            try:
                return self._luma(scale)
            except ValueError:
                pass  # Pillow is slower, forgives more, and has a better word for what it doesn't
        h, w = (-(-n // scale) for n in self.size)
        try:
            with refusing(self.path), JpegImageFile(BytesIO(plain(self.data, self.header))) as image:
                image.draft("L" if self.direct else None, (w, h))
                # In one go: between its usual pieces a thread would wait for others.
                image.decodermaxblock = len(self.data) + 1
                image.load()
                if image.mode not in ("L", "RGB", "CMYK"):
                    raise PictureError(self.path, f"holds colours of the kind {image.mode}, which is not supported")
                array = np.asarray(image)
                return array if array.ndim == 3 else array[..., None]
        except TruncatedError:
            raise truncated(self.path, partly=True) from None

    def _luma(self, scale: int) -> Bytes:
        """The Y plane (h, w, 1). Raises ValueError for what TurboJPEG refuses, and for libjpeg's first warning."""
        h, w = (-(-n // scale) for n in self.size)
        # Not `strict` would mean whatever was in memory where libjpeg gives up.
        luma: Bytes = simplejpeg.decode_jpeg(
            plain(self.data, self.header), "GRAY", min_height=h, min_width=w, strict=True
        )
        return luma
