"""Writing TIFF, in strips as they come: no library both streams and copies every tag. Classic TIFF below 4 GB, BigTIFF above."""

from __future__ import annotations

import os
import struct
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from tintype.picture.color import Bytes
from tintype.picture.ifd import Directory, Tag, number_tag, parse_block, written
from tintype.picture.picture import Metadata
from tintype.picture.png import packed
from tintype.picture.raster import Raster, rescale
from tintype.picture.tiff import ALPHAS, LAYOUT

#: Bytes of a strip before compression.
_STRIP = 1 << 18
_LEVEL = 5  #: of deflate
_ALPHAS = {name: number for number, name in ALPHAS.items()}
_AHEAD = 8  #: strips that are compressed at a time


@dataclass
class _Strips:
    """Where the strips of a page went."""

    offsets: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)


def write(path: Path, rasters: tuple[Raster, ...], name: Path) -> None:
    """Write all pages to `path`; `name` is what errors call it."""
    samples = sum(r.size[0] * r.size[1] * r.channels * r.bits // 8 for r in rasters)
    others = sum(len(b or b"") for r in rasters for b in (r.metadata.icc, r.metadata.exif, r.metadata.xmp)) * 2
    big = samples * 1.01 + others + 10**7 > 2**32
    order = _order(rasters[0].metadata.exif)
    with path.open("wb") as file:
        head = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42)
        file.write(head + (struct.pack(order + "HHQ", 8, 0, 0) if big else struct.pack(order + "I", 0)))
        link = 8 if big else 4
        for raster in rasters:
            link = _page(file, raster, order, big, link, name)


def _page(file: BinaryIO, raster: Raster, order: str, big: bool, link: int, name: Path) -> int:
    """Write strips, then the directory; enter it where the one before it says (`link`). Gives the place of its own link."""
    bits = raster.depth(name, 1, 2, 4)
    rows = max(1, _STRIP // max(1, raster.size[1] * raster.channels * bits // 8))
    deflate = raster.stored.get("compression", "deflate") != "none"
    strips = _Strips()
    for data in _coded(raster, rows, bits, order, deflate):
        strips.offsets.append(file.tell())
        strips.lengths.append(len(data))
        file.write(data)
    file.write(bytes(file.tell() & 1))
    at = file.tell()
    directory = Directory(
        {**_kept(raster.metadata, order), **_layout(raster, bits, rows, strips, order, big, deflate)},
        _children(raster.metadata, order),
    )
    file.write(written(directory, order, at, big))
    file.seek(link)
    file.write(struct.pack(order + ("Q" if big else "I"), at))
    file.seek(0, os.SEEK_END)
    file.write(bytes(file.tell() & 1))
    count = len(directory.tags) + len(directory.children)
    return at + (8 + 20 * count if big else 2 + 12 * count)


def _coded(raster: Raster, rows: int, bits: int, order: str, deflate: bool) -> Iterator[bytes]:
    """The strips as bytes; deflated on all processors, a few ahead."""
    inverted = raster.stored.get("photometric") == "miniswhite" and raster.channels <= 2

    def code(strip: Bytes) -> bytes:
        if inverted:
            strip = strip.copy()
            strip[..., 0] = np.iinfo(strip.dtype).max - strip[..., 0]
        if bits < 8:
            data: NDArray[np.uint8] | Bytes = packed(rescale(strip[..., 0], raster.bits, bits), bits)
        else:
            if deflate:
                strip = _differences(strip)
            data = strip if raster.bits == 8 else strip.astype(order + "u2")
        raw = np.ascontiguousarray(data).tobytes()
        return zlib.compress(raw, _LEVEL) if deflate else raw

    if not deflate:
        yield from map(code, raster.strips(rows))
        return
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        ahead: deque[Future[bytes]] = deque()
        try:
            for strip in raster.strips(rows):
                ahead.append(pool.submit(code, strip))
                if len(ahead) >= _AHEAD:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()


def _differences(strip: Bytes) -> Bytes:
    """Each sample minus its left neighbour (TIFF's predictor 2), modulo its range."""
    out = strip.copy()
    out[:, 1:] -= strip[:, :-1]
    return out


def _order(exif: bytes | None) -> str:
    """The byte order of the metadata, as it is copied."""
    try:
        return parse_block(exif)[1] if exif is not None else "<"
    except ValueError:
        return "<"


def _parsed(metadata: Metadata, order: str) -> Directory:
    """The EXIF block, empty where there is none, it is broken, or it has another byte order than the file."""
    try:
        directory, own = parse_block(metadata.exif) if metadata.exif is not None else (Directory({}), order)
    except ValueError:
        return Directory({})
    return directory if own == order else Directory({})


def _children(metadata: Metadata, order: str) -> dict[int, Directory]:
    return dict(_parsed(metadata, order).children)


def _kept(metadata: Metadata, order: str) -> dict[int, Tag]:
    """Tags from the metadata, not about samples."""
    tags = {k: v for k, v in _parsed(metadata, order).tags.items() if k not in LAYOUT}
    for name, payload in metadata.extra:
        if name.startswith("tiff:"):
            number, kind, own = name.split(":")[1:]
            size = 4 if kind == "4" else 1
            if own == order or size == 1:
                tags[int(number)] = Tag(int(kind), len(payload) // size, payload)
    if metadata.iptc is not None:
        tags.setdefault(33723, Tag(7, len(metadata.iptc), metadata.iptc))
    if metadata.dpi is not None and 282 not in tags:
        for code, value in zip((282, 283), metadata.dpi, strict=True):
            part = Fraction(value).limit_denominator(10_000)
            tags[code] = Tag(5, 1, struct.pack(order + "II", min(part.numerator, 2**32 - 1), part.denominator))
        tags[296] = number_tag(3, [2], order)
    if metadata.xmp is not None:
        tags[700] = Tag(1, len(metadata.xmp), metadata.xmp)
    if metadata.icc is not None:
        tags[34675] = Tag(7, len(metadata.icc), metadata.icc)
    return tags


def _layout(
    raster: Raster, bits: int, rows: int, strips: _Strips, order: str, big: bool, deflate: bool
) -> dict[int, Tag]:
    """Tags about the samples."""
    height, width = raster.size
    inverted = raster.stored.get("photometric") == "miniswhite"
    wide = 16 if big else 4
    tags = {
        256: number_tag(4, [width], order),
        257: number_tag(4, [height], order),
        258: number_tag(3, [bits] * raster.channels, order),
        259: number_tag(3, [8 if deflate else 1], order),
        262: number_tag(3, [2 if raster.channels > 2 else 0 if inverted else 1], order),
        273: number_tag(wide, strips.offsets, order),
        277: number_tag(3, [raster.channels], order),
        278: number_tag(4, [rows], order),
        279: number_tag(wide, strips.lengths, order),
        284: number_tag(3, [1], order),
    }
    if deflate and bits >= 8:
        tags[317] = number_tag(3, [2], order)
    if raster.has_alpha:
        tags[338] = number_tag(3, [_ALPHAS.get(raster.stored.get("alpha", ""), 2)], order)
    return tags
