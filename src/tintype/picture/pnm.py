"""PNM (netpbm's PBM, PGM, PPM, plain and raw), 1 to 16 bits, read and written as a stream."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from tintype.errors import PictureError
from tintype.picture.color import Bytes
from tintype.picture.metadata import unstamp
from tintype.picture.picture import BAND_PIXELS, Band, Metadata, Picture, Pixels, reduce_bands
from tintype.picture.raster import Raster
from tintype.picture.reading import ENDS_EARLY, ReadOptions, Samples, check_size, ended, page_of, refusing, truncated

Words = NDArray[np.uint16]

_MOST_HEADER = 1 << 20
#: A comment that holds our XMP packet, which says that the colour is computed: PNM has no other place for it.
_XMP = b"# tintype-xmp "


@dataclass(frozen=True)
class _Header:
    """A PNM's header: its digit, size (H, W), highest value, where the samples start, and our packet."""

    kind: int
    size: tuple[int, int]
    top: int
    start: int
    xmp: bytes | None

    @property
    def channels(self) -> int:
        """1 grey, 3 RGB."""
        return 3 if self.kind in (3, 6) else 1

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of a raw file."""
        return -(-self.size[1] // 8) if self.kind == 4 else self.size[1] * self.channels * (2 if self.top > 255 else 1)


@dataclass(frozen=True)
class PnmPixels(Pixels):
    """The samples, read band by band. Rows from `there` on are missing from the file, and grey; None: none may be."""

    path: Path
    header: _Header
    samples: Samples
    there: int | None = None

    def bands(self) -> Iterator[Band]:
        """All rows in order. Raises PictureError, TruncatedError."""
        (height, width), channels = self.header.size, self.header.channels
        rows = max(1, BAND_PIXELS // width)
        with refusing(self.path), self.path.open("rb") as file:
            file.seek(self.header.start)
            pieces = self._raw(file, rows) if self.header.kind > 3 else self.plain(file)
            waiting, have = [], 0
            for top in range(0, height, rows):
                want = min(rows, height - top) * width * channels
                while have < want:
                    piece = next(pieces, None)
                    if piece is None:
                        piece = self._missing(want - have)
                    waiting.append(piece)
                    have += len(piece)
                flat = np.concatenate(waiting)
                waiting, have = [flat[want:]], have - want
                band = self.samples.band(top, _full_range(flat[:want].reshape(-1, width, channels), self.header))
                yield band if self.there is None else ended(band, self.there)

    def reduced(self, longest: int) -> NDArray[np.float32]:
        """The whole, reduced."""
        return reduce_bands(self.bands(), self.header.size, longest)

    def _missing(self, n: int) -> Words:
        """What stands in for `n` samples that the file lacks."""
        if self.there is None:
            raise truncated(self.path, partly=True)
        return np.zeros(n, np.uint16)

    def _raw(self, file: BinaryIO, rows: int) -> Iterator[Words]:
        """A raw file's samples, `rows` rows at a time."""
        line = self.header.row_bytes
        for top in range(0, self.header.size[0], rows):
            want = min(rows, self.header.size[0] - top) * line
            data = file.read(want)
            if len(data) < want:
                self._missing(0)
                data = data.ljust(want, b"\0")
            if self.header.kind == 4:
                bits = np.unpackbits(np.frombuffer(data, np.uint8).reshape(-1, line), axis=1)
                yield bits[:, : self.header.size[1]].astype(np.uint16).ravel()
            else:
                values = np.frombuffer(data, ">u2" if self.header.top > 255 else np.uint8).astype(np.uint16)
                yield self._checked(values)

    def plain(self, file: BinaryIO) -> Iterator[Words]:
        """A plain file's samples, a megabyte of text at a time."""
        rest = b""
        while piece := file.read(1 << 20):
            cut = max((piece.rfind(c) for c in (b" ", b"\n", b"\t", b"\r")), default=-1) + 1
            if cut == 0 and self.header.kind != 1 and len(rest) > 1000:
                raise PictureError(self.path, "is corrupt: its samples are no numbers")
            yield self._numbers(rest + piece[:cut])
            rest = piece[cut:] if cut else rest + piece
        yield self._numbers(rest)

    def _numbers(self, text: bytes) -> Words:
        text = re.sub(rb"#[^\n\r]*", b" ", text)
        if self.header.kind == 1:  # digits needn't be apart
            digits = np.frombuffer(text, np.uint8)
            ones: Words = digits[(digits == 48) | (digits == 49)].astype(np.uint16) - np.uint16(48)
            return ones
        try:
            values = np.array(text.split(), dtype=np.int64)
        except (ValueError, OverflowError):
            raise PictureError(self.path, "is corrupt: its samples are no numbers") from None
        return self._checked(values).astype(np.uint16)

    def _checked(self, values: Bytes) -> Bytes:
        if values.size and (values.min() < 0 or values.max() > self.header.top):
            raise PictureError(self.path, f"is corrupt: a sample is not in 0 .. {self.header.top}")
        return values


def _full_range(samples: Words, header: _Header) -> Bytes:
    """Samples up to the file's highest value -> 8 or 16 bits of full range; in PBM 1 is black."""
    if header.kind in (1, 4):
        return (255 * (1 - samples)).astype(np.uint8)
    if header.top in (255, 65535):
        return samples.astype(np.uint8) if header.top == 255 else samples
    if header.top < 256:
        return _to_full_range(samples.astype(np.uint8), header.top, 255)
    return _to_full_range(samples, header.top, 65535)


def read(path: Path, options: ReadOptions) -> Picture:
    """A PNM's first picture. Raises PictureError, TruncatedError, LimitError."""
    with path.open("rb") as file:
        header = _header(path, file.read(_MOST_HEADER))
        check_size(path, header.size, options)
        file.seek(header.start + header.row_bytes * header.size[0])
        if header.kind > 3 and file.read(3).lstrip()[:1] == b"P":
            raise PictureError(path, "holds several pictures", "split it into files of one each")
    need = header.start + (header.row_bytes if header.kind > 3 else header.size[1] * header.channels) * header.size[0]
    # The cheapest plain file has a digit for each sample: less can't be whole, and a huge header with nothing behind it ends here.
    if path.stat().st_size < need and not options.allow_truncated:
        raise truncated(path, partly=True)
    there = None
    if options.allow_truncated:
        there = _rows_there(path, header)
        if not there:
            raise truncated(path, "has no pixels")
    stored = {
        "bits": "1" if header.top == 1 else str(header.top.bit_length()),
        "photometric": "rgb" if header.channels == 3 else "grey",
    }
    stored |= {"photometric": "miniswhite"} if header.kind in (1, 4) else {}
    stored["top"] = str(header.top)
    page = page_of(
        path,
        header.size,
        8 if header.top < 256 else 16,
        header.channels,
        False,
        Metadata(xmp=header.xmp),
        lambda samples: PnmPixels(path, header, samples, there),
        options,
        stored,
        (ENDS_EARLY,) if there is not None and there < header.size[0] else (),
    )
    return Picture((page,), path, "pnm")


def _rows_there(path: Path, header: _Header) -> int:
    """How many whole rows the file has. Raises PictureError for a plain file whose samples are no numbers."""
    if header.kind > 3:
        have, row = path.stat().st_size - header.start, header.row_bytes
    else:
        with path.open("rb") as file:
            file.seek(header.start)
            have = sum(len(piece) for piece in PnmPixels(path, header, Samples()).plain(file))
            file.seek(-1, 2)
            cut = not file.read(1).isspace()
        row = header.size[1] * header.channels
        if cut and have < row * header.size[0] and header.kind != 1:
            have -= 1  # of the last number, digits may be missing
    return min(header.size[0], have // row)


def _header(path: Path, data: bytes) -> _Header:
    """The header at the start of a file."""
    kind = data[1] - 48
    numbers: list[int] = []
    xmp, at = None, 2
    wanted = 2 if kind in (1, 4) else 3
    while len(numbers) < wanted:
        match = re.compile(rb"\s*(#[^\n\r]*[\n\r]|\d{1,9}(?=[\s#]))").match(data, at)
        if match is None:
            if len(data[at:].strip()) == 0:
                raise truncated(path)
            raise PictureError(path, "is corrupt: its header is no PNM's")
        at = match.end()
        if match[1].startswith(b"#"):
            if match[1].startswith(_XMP):
                xmp = match[1][len(_XMP) : -1].replace(b"&#10;", b"\n")
        else:
            numbers.append(int(match[1]))
    top = numbers[2] if wanted == 3 else 1
    if not 1 <= top <= 65535:
        raise PictureError(path, f"is corrupt: its highest value is {top}, not 1 to 65535")
    return _Header(kind, (numbers[1], numbers[0]), top, at + 1, xmp)


def write(path: Path, rasters: tuple[Raster, ...], name: Path) -> None:
    """Raw PPM, PGM or PBM, each of which is also called PNM: the samples decide, not the name."""
    raster = rasters[0]
    top = _top(raster)
    grey = raster.channels == 1
    kind = 4 if top == 1 and grey and raster.stored.get("photometric") == "miniswhite" else 5 if grey else 6
    with path.open("wb") as file:
        file.write(b"P%d\n" % kind)
        # Only our own statement is put here; other metadata has no place in a PNM.
        if raster.metadata.xmp is not None and unstamp(raster.metadata.xmp)[0] != raster.metadata.xmp:
            file.write(_XMP + raster.metadata.xmp.replace(b"\r", b"").replace(b"\n", b"&#10;") + b"\n")
        file.write(b"%d %d\n" % (raster.size[1], raster.size[0]))
        if kind != 4:
            file.write(b"%d\n" % top)
        for band in raster.bands():
            values = _from_full_range(band, top)
            if kind == 4:
                file.write(np.packbits(1 - values[..., 0], axis=1).tobytes())
            else:
                file.write(values.astype(">u2" if top > 255 else np.uint8).tobytes())


def _top(raster: Raster) -> int:
    """The original's highest value, where every sample is one of its steps; else the full range."""
    full: int = 2**raster.bits - 1
    top = int(raster.stored.get("top", full))
    if not 1 <= top < full or (raster.bits == 16 and top < 256):
        return full
    return (
        top if all((_to_full_range(_from_full_range(b, top), top, full) == b).all() for b in raster.bands()) else full
    )


def _from_full_range(samples: Bytes, top: int) -> Bytes:
    full = np.uint32(np.iinfo(samples.dtype).max)
    return ((samples.astype(np.uint32) * np.uint32(top) + full // 2) // full).astype(samples.dtype)


def _to_full_range(samples: Bytes, top: int, full: int) -> Bytes:
    return ((samples.astype(np.uint32) * np.uint32(full) + np.uint32(top // 2)) // np.uint32(top)).astype(samples.dtype)
