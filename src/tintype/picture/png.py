"""PNG (W3C, third edition): decoded by libvips, its other chunks kept as they are; written here, row by row, so that any size streams."""

from __future__ import annotations

import struct
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import _TemporaryFileWrapper
from typing import IO

import numpy as np
import pyvips
from numpy.typing import NDArray

from tintype.errors import PictureError
from tintype.picture.color import Bytes
from tintype.picture.libvips import prepare
from tintype.picture.picture import Metadata, Picture
from tintype.picture.raster import Raster, rescale
from tintype.picture.reading import ENDS_EARLY, ReadOptions, check_size, page_of, truncated
from tintype.picture.vips import VipsPixels

SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: Chunks that mean the same whatever the samples are: copied. (sBIT, bKGD, tRNS, hIST, sPLT are about the old samples.)
_COPIED = (
    b"gAMA",
    b"cHRM",
    b"sRGB",
    b"cICP",
    b"mDCV",
    b"cLLI",
    b"pHYs",
    b"tIME",
    b"tEXt",
    b"zTXt",
    b"iTXt",
    b"oFFs",
    b"sCAL",
    b"pCAL",
)
_XMP = b"XML:com.adobe.xmp"
#: No chunk but pixels may be longer, all together neither.
_MOST_BYTES = 1 << 26
_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_PHOTOMETRIC = {0: "grey", 2: "rgb", 3: "palette", 4: "grey", 6: "rgb"}
#: The filters that a row may begin with are 0 to this.
_LAST_FILTER = 4
_LEVEL = 5  #: of deflate: a tenth larger than 9 at a third of its time


def read(path: Path, options: ReadOptions) -> Picture:
    """A PNG's one page. Raises PictureError, TruncatedError, LimitError."""
    with path.open("rb") as file:
        chunks, whole = _chunks(path, file)
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13:
        raise PictureError(path, "is corrupt: a PNG without its header")
    width, height, bits, kind, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[0][1])
    if kind not in _CHANNELS or bits not in (1, 2, 4, 8, 16):
        raise PictureError(path, f"is corrupt: a PNG of type {kind} with {bits} bits")
    check_size(path, (height, width), options)
    names = {name for name, _ in chunks}
    if b"acTL" in names:
        raise PictureError(path, "is an animation", "save one of its pictures as a PNG")
    if not whole and (not options.allow_truncated or interlaced):
        raise truncated(path, partly=not interlaced)
    if b"IDAT" not in names:
        raise truncated(path, "has no pixels")
    has_alpha = kind >= 4 or b"tRNS" in names
    stored = {"bits": str(bits if kind != 3 else 8), "photometric": _PHOTOMETRIC[kind]}
    colors = _CHANNELS[kind] - (kind >= 4)
    decoded: Path | _TemporaryFileWrapper[bytes] = path
    there, note = height, ""
    if options.allow_truncated and not interlaced and not (whole and _decodes(path)):
        row = 1 + -(-width * bits * (1 if kind == 3 else _CHANNELS[kind]) // 8)
        decoded, there = _completed(path, row, height)
        if not there:
            raise truncated(path, "has no pixels")
        note = "the file is damaged: what is lost is wrong or grey" if whole else ENDS_EARLY
    page = page_of(
        path,
        (height, width),
        16 if bits == 16 else 8,
        colors,
        has_alpha,
        _metadata(path, chunks, options),
        lambda samples: VipsPixels(path, (height, width), samples, lambda: _load(decoded), there),
        options,
        stored,
        (note,) if note else (),
    )
    return Picture((page,), path, "png")


def _load(file: Path | _TemporaryFileWrapper[bytes]) -> pyvips.Image:
    name = str(file) if isinstance(file, Path) else file.name
    return pyvips.Image.pngload(name, access="sequential", fail_on="error", unlimited=True)


def _chunks(path: Path, file: IO[bytes]) -> tuple[list[tuple[bytes, bytes]], bool]:
    """All chunks (name, payload), pixels skipped (IDAT once, empty), and whether the end is there."""
    file.seek(len(SIGNATURE))
    chunks: list[tuple[bytes, bytes]] = []
    total = 0
    end = path.stat().st_size
    while True:
        head = file.read(8)
        if len(head) < 8:
            return chunks, False
        length, name = struct.unpack(">I4s", head)
        if file.tell() + length + 4 > end:
            if name == b"IDAT":
                chunks.append((name, b""))
            return chunks, False
        if name == b"IEND":
            return chunks, True
        if name in (b"IDAT", b"fdAT", b"PLTE"):
            if not any(n == name for n, _ in chunks[-1:]):
                chunks.append((name, b""))
            file.seek(length + 4, 1)
            continue
        total += length
        if total > _MOST_BYTES or len(chunks) > 100_000:
            raise PictureError(path, "carries more metadata than 64 MiB", "remove it with another program")
        chunks.append((name, file.read(length)))
        file.seek(4, 1)


def _decodes(path: Path) -> bool:
    """Whether all of a PNG can be decoded."""
    prepare()
    try:
        _load(path).avg()
    except pyvips.Error:
        return False
    return True


def _completed(path: Path, row: int, height: int) -> tuple[_TemporaryFileWrapper[bytes], int]:
    """A copy of a PNG with zeros for what is missing of its `height` rows of `row` bytes, and how many whole rows were there.

    A decoder alone stops some rows before the last that can be unpacked, and what it gives then is anything.
    """
    unpack, pack, total = zlib.decompressobj(), zlib.compressobj(1), 0
    copy = tempfile.NamedTemporaryFile(prefix="tintype-", suffix=".png")  # noqa: SIM115 - goes when nobody reads it
    copy.write(SIGNATURE)

    def put(rows: bytes) -> None:
        if data := pack.compress(rows):
            _put(copy, b"IDAT", data)

    with path.open("rb") as file, suppress(zlib.error):
        file.seek(len(SIGNATURE))
        while len(head := file.read(8)) == 8 and not unpack.eof and total < row * height:
            length, name = struct.unpack(">I4s", head)
            end = file.tell() + length + 4
            if name in (b"IHDR", b"PLTE", b"tRNS"):
                copy.write(head + file.read(length + 4))
            while name == b"IDAT" and length and (piece := file.read(min(length, 1 << 16))):
                length -= len(piece)
                while piece and total < row * height:
                    # Little at a time: where it goes wrong, what was unpacked in the same breath is lost.
                    rows = unpack.decompress(piece, max(row, 1 << 12))[: row * height - total]
                    piece = unpack.unconsumed_tail
                    bad = next((k for k in range(-total % row, len(rows), row) if rows[k] > _LAST_FILTER), None)
                    total += len(rows[:bad])
                    put(rows[:bad])
                    if bad is not None:
                        raise zlib.error("no row of a PNG begins so")
            file.seek(end)
    missing = row * height - total
    for at in range(0, missing, 1 << 20):
        put(bytes(min(1 << 20, missing - at)))
    _put(copy, b"IDAT", pack.flush())
    _put(copy, b"IEND", b"")
    copy.flush()
    return copy, total // row


def _metadata(path: Path, chunks: list[tuple[bytes, bytes]], options: ReadOptions) -> Metadata:
    """What the chunks say. Raises PictureError for a broken profile."""
    first = dict(reversed(chunks))
    icc = xmp = None
    if b"iCCP" in first and not options.ignore_profile:
        icc = _inflated(first[b"iCCP"].partition(b"\0")[2][1:])
        if icc is None:
            raise PictureError(
                path, "has a broken colour profile: it can't be unpacked", "--ignore-profile reads it without"
            )
    elif b"iCCP" in first:
        icc = b""
    extra = []
    for name, payload in chunks:
        if name == b"iTXt" and payload.startswith(_XMP + b"\0") and xmp is None:
            xmp = _international(payload)
            if xmp is not None:
                continue
        if name in _COPIED:
            extra.append((name.decode(), payload))
    dpi = None
    if len(first.get(b"pHYs", b"")) == 9:
        x, y, unit = struct.unpack(">IIB", first[b"pHYs"])
        dpi = (x * 0.0254, y * 0.0254) if unit == 1 and x and y else None
    return Metadata(icc=icc, exif=first.get(b"eXIf"), xmp=xmp, dpi=dpi, extra=tuple(extra))


def _inflated(data: bytes) -> bytes | None:
    """Unpacked, or None where it is broken or a bomb."""
    unpack = zlib.decompressobj()
    try:
        out = unpack.decompress(data, _MOST_BYTES)
    except zlib.error:
        return None
    return out if unpack.eof else None


def _international(payload: bytes) -> bytes | None:
    """The text of an iTXt chunk."""
    flags, _, rest = payload[len(_XMP) + 1 :], 0, b""
    if len(flags) < 2:
        return None
    rest = flags[2:].partition(b"\0")[2].partition(b"\0")[2]
    return _inflated(rest) if flags[0] == 1 else rest


def write(path: Path, rasters: tuple[Raster, ...], name: Path) -> None:
    """Write one page to `path`; `name` is what errors call it."""
    raster = rasters[0]
    bits = raster.depth(name, 1, 2, 4)
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[raster.channels]
    height, width = raster.size
    with path.open("wb") as file:
        file.write(SIGNATURE)
        _put(file, b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0))
        for chunk, payload in _described(raster.metadata):
            _put(file, chunk, payload)
        pack = zlib.compressobj(_LEVEL)
        above = None
        for band in raster.bands():
            rows = _bytes(band, raster.bits, bits)
            step = max(1, raster.channels * bits // 8)
            data = pack.compress(_filtered(rows, above, step, bits < 8))
            above = rows[-1]
            if data:
                _put(file, b"IDAT", data)
        _put(file, b"IDAT", pack.flush())
        _put(file, b"IEND", b"")


def _described(metadata: Metadata) -> Iterator[tuple[bytes, bytes]]:
    """The chunks before the pixels."""
    names = {name for name, _ in metadata.extra}
    for name, payload in metadata.extra:
        if name.encode() in _COPIED:
            yield name.encode(), payload
    if metadata.icc is not None:
        yield b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc, 9)
    if "pHYs" not in names and metadata.dpi is not None:
        yield b"pHYs", struct.pack(">IIB", *(round(d / 0.0254) for d in metadata.dpi), 1)
    if metadata.exif is not None:
        yield b"eXIf", metadata.exif
    if metadata.xmp is not None:
        yield b"iTXt", _XMP + bytes(5) + metadata.xmp


def _put(file: IO[bytes], name: bytes, payload: bytes) -> None:
    file.write(struct.pack(">I", len(payload)) + name)
    file.write(payload)
    file.write(struct.pack(">I", zlib.crc32(payload, zlib.crc32(name))))


def _bytes(band: Bytes, bits: int, stored_bits: int) -> NDArray[np.uint8]:
    """Samples (n, W, C) as PNG's bytes (n, B)."""
    if stored_bits < 8:
        return packed(rescale(band[..., 0], bits, stored_bits), stored_bits)
    raw = band if bits == 8 else band.astype(">u2")
    return np.ascontiguousarray(raw).view(np.uint8).reshape(len(band), -1)


def packed(samples: Bytes, bits: int) -> NDArray[np.uint8]:
    """Samples (n, W) of 1, 2 or 4 bits, first one in the highest bits, rows padded to bytes."""
    per = 8 // bits
    n, width = samples.shape
    padded = np.zeros((n, -(-width // per) * per), np.uint8)
    padded[:, :width] = samples
    parts = padded.reshape(n, -1, per)
    out = np.zeros(parts.shape[:2], np.uint8)
    for k in range(per):
        out |= parts[..., k] << np.uint8(8 - bits * (k + 1))
    return out


def _filtered(rows: NDArray[np.uint8], above: NDArray[np.uint8] | None, step: int, plain: bool) -> bytes:
    """Rows with their filter bytes: for each row the one of Sub, Up and Paeth whose bytes are smallest (the usual guess)."""
    n, size = rows.shape
    out = np.empty((n, size + 1), np.uint8)
    if plain:
        out[:, 0], out[:, 1:] = 0, rows
        return out.tobytes()
    up = np.empty_like(rows)
    up[0], up[1:] = (0 if above is None else above), rows[:-1]
    left, corner = np.zeros_like(rows), np.zeros_like(rows)
    left[:, step:], corner[:, step:] = rows[:, :-step], up[:, :-step]
    a, b, c = (p.astype(np.int16) for p in (left, up, corner))
    near = np.where(
        (abs(b - c) <= abs(a - c)) & (abs(b - c) <= abs(a + b - 2 * c)),
        left,
        np.where(abs(a - c) <= abs(a + b - 2 * c), up, corner),
    )
    best = np.full(n, np.iinfo(np.int64).max)
    for kind, guess in ((1, left), (2, up), (4, near)):
        rest = rows - guess
        cost = np.abs(rest.view(np.int8).astype(np.int16)).sum(1, dtype=np.int64)
        better = cost < best
        out[better, 0], out[better, 1:] = kind, rest[better]
        best = np.where(better, cost, best)
    return out.tobytes()
