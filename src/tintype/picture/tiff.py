"""Reading TIFF: tags by ourselves, so that all of them can be copied; pixels through libvips, page by page, in bands."""

from __future__ import annotations

import mmap
import shutil
import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import _TemporaryFileWrapper
from typing import BinaryIO

import pyvips

from tintype.errors import PictureError, TruncatedError
from tintype.picture.ifd import Directory, Header, Tag, block_of, directory_at, header_of
from tintype.picture.picture import Metadata, Page, Picture, with_note
from tintype.picture.reading import ENDS_EARLY, ReadOptions, check_size, page_of, truncated
from tintype.picture.vips import VipsPixels

#: Tags about the layout and coding of the old samples; all others are copied.
LAYOUT = frozenset(
    (
        *(
            255,
            256,
            257,
            258,
            259,
            262,
            263,
            264,
            265,
            266,
            273,
            277,
            278,
            279,
            280,
            281,
            284,
            288,
            289,
            290,
            291,
            292,
            293,
        ),
        *(301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 330, 332, 333, 334, 336, 337, 338, 339, 340, 341, 342, 347),
        *range(512, 522),
        *(529, 530, 531, 532, 700, 34675),
    )
)
#: Tags that may be large and that no EXIF block has: kept for TIFF alone, in Metadata.extra.
TIFF_ONLY = (33723, 34377)
#: What an extra channel is (tag 338); without a meaning it is passed through like transparency.
ALPHAS = {0: "unspecified", 1: "premultiplied", 2: "straight"}
_MOST_PAGES = 10_000
_PHOTOMETRIC = {
    0: "miniswhite",
    1: "grey",
    2: "rgb",
    3: "palette",
    4: "mask",
    5: "cmyk",
    6: "ycbcr",
    8: "lab",
    9: "lab",
    10: "lab",
}
_FORMATS = {2: "signed integer", 3: "floating-point", 5: "complex", 6: "complex"}
_COMPRESSIONS = (1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946)


@dataclass(frozen=True)
class _Layout:
    """How a page is stored."""

    size: tuple[int, int]
    bits: int
    channels: int
    photometric: str
    compression: int
    alpha: str  #: "" or one of ALPHAS
    colors: int  #: as libvips will give them: 1, 3 or 4


def read(path: Path, options: ReadOptions) -> Picture:
    """All pages of a TIFF. Raises PictureError, TruncatedError, LimitError."""
    size = path.stat().st_size
    with path.open("rb") as file:
        header, directories, all_there = _directories(path, file, size, options)
    pages: list[Page] = []
    copy = _Lengthened(path)
    if not all_there:  # libvips would follow the chain of pages to where it breaks off
        copy.of(0, (directories[-1].link, bytes(8 if header.big else 4)))
    for number, directory in enumerate(directories):
        try:
            pages.append(_page(path, number, directory, header, size, options, copy))
        except TruncatedError:
            if not (options.allow_truncated and pages):
                raise
            all_there = False
    if not all_there:
        pages[-1] = with_note(
            pages[-1], "the file ends too early: of its pages, those are here of which a row is there"
        )
    return Picture(tuple(pages), path, "tiff")


def _directories(path: Path, file: BinaryIO, size: int, options: ReadOptions) -> tuple[Header, list[Directory], bool]:
    """The chain of directories, one for each page, and whether it is whole."""

    def read_at(at: int, n: int) -> bytes:
        if at > size or n > size:
            return b""
        file.seek(at)
        return file.read(n)

    out: list[Directory] = []
    try:
        header = header_of(file.read(16))
        at, seen = header.first, set[int]()
        while at and len(out) < _MOST_PAGES:
            if at in seen:
                raise ValueError("its pages go round in a circle")
            seen.add(at)
            directory, at = directory_at(read_at, header, at)
            out.append(directory)
    except EOFError:
        if not (options.allow_truncated and out):
            raise truncated(path, "ends too early: its directory lies beyond its end", partly=bool(out)) from None
        return header, out, False
    except (ValueError, struct.error) as error:
        raise PictureError(path, f"is corrupt: {error}") from error
    if at or not out:
        raise PictureError(path, "has no pages" if not out else f"has more than {_MOST_PAGES:,} pages")
    return header, out, True


def _page(
    path: Path,
    number: int,
    directory: Directory,
    header: Header,
    size: int,
    options: ReadOptions,
    copy: _Lengthened,
) -> Page:
    """One page, as far as it is there. Raises TruncatedError where no row of it is, or none may be missing."""
    where = f"page {number + 1} " if number else ""
    try:
        layout = _layout(path, directory, header.order, where)
        check_size(path, layout.size, options)
        there = _rows_there(directory, header.order, layout, size)
        if there < layout.size[0] and not (options.allow_truncated and there):
            raise truncated(path, f"{where}ends too early", partly=there > 0 or number > 0)
    except (ValueError, IndexError, struct.error) as error:
        raise PictureError(path, f"is corrupt: {where}lacks what a picture needs") from error
    load = _loader(path, number, directory, layout, header, there, copy)
    stored = {"bits": str(layout.bits), "photometric": layout.photometric}
    stored["compression"] = "none" if layout.compression == 1 else "deflate"
    if layout.alpha:
        stored["alpha"] = layout.alpha
    notes: tuple[str, ...] = ("the EXIF data could not be read and was left out",) if directory.damaged else ()
    notes += (ENDS_EARLY,) if there < layout.size[0] else ()
    return page_of(
        path,
        layout.size,
        16 if layout.bits == 16 else 8,
        layout.colors,
        bool(layout.alpha),
        _metadata(directory, header.order),
        lambda samples: VipsPixels(path, layout.size, samples, load, there),
        options,
        stored,
        notes,
    )


def _number(directory: Directory, order: str, number: int, default: int | None = None) -> int:
    """The first value of a tag. Raises IndexError where it is missing and there is no default."""
    tag = directory.tags.get(number)
    values = tag.numbers(order) if tag is not None else ()
    if not values and default is not None:
        return default
    return values[0]


def _layout(path: Path, directory: Directory, order: str, where: str) -> _Layout:
    """How the page is stored. Raises PictureError for what can't be read, with the reason."""

    def number(tag: int, default: int | None = None) -> int:
        return _number(directory, order, tag, default)

    size = number(257), number(256)
    bits, channels, compression = number(258, 1), number(277, 1), number(259, 1)
    photometric = _PHOTOMETRIC.get(number(262), "")
    kind = number(339, 1)
    if kind in _FORMATS:
        raise PictureError(path, f"{where}has {_FORMATS[kind]} samples", "convert it to 16-bit integers")
    if photometric in ("", "lab", "mask") or (photometric == "ycbcr" and compression not in (6, 7)):
        raise PictureError(
            path,
            f"{where}has colours that Tintype does not read (photometric {number(262)})",
            "convert it to grey or RGB",
        )
    if compression not in _COMPRESSIONS:
        raise PictureError(
            path,
            f"{where}is compressed by a method that Tintype does not read ({compression})",
            "save it with deflate or LZW",
        )
    listed = directory.tags[258].numbers(order) if 258 in directory.tags else (1,)
    if len(set(listed)) > 1 or bits not in (1, 2, 4, 8, 16) or (bits < 8 and photometric in ("rgb", "cmyk")):
        raise PictureError(
            path, f"{where}has {'/'.join(map(str, listed))} bits per sample", "convert it to 8 or 16 bits"
        )
    colors = {"rgb": 3, "ycbcr": 3, "cmyk": 4}.get(photometric, 1)
    if channels - colors not in (0, 1) or (channels > colors and (photometric in ("palette", "cmyk") or bits < 8)):
        raise PictureError(
            path, f"{where}has {channels} channels", "keep grey or RGB, and at most one channel of transparency"
        )
    alpha = "" if channels == colors else ALPHAS.get(number(338, 0), "unspecified")
    if photometric == "palette":
        colors = 1 if _grey_palette(directory, order) else 3
    return _Layout(size, bits, channels, photometric, compression, alpha, colors)


def _grey_palette(directory: Directory, order: str) -> bool:
    """Whether the palette has only greys; libvips gives one channel then."""
    table = directory.tags[320].numbers(order)
    third = len(table) // 3
    return table[:third] == table[third : 2 * third] == table[2 * third :]


def _rows_there(directory: Directory, order: str, layout: _Layout, size: int) -> int:
    """How many rows come before those that lie beyond the end of the file. Raises IndexError where there are none at all."""
    tiled = 324 in directory.tags
    starts, counts = (324, 325) if tiled else (273, 279)
    offsets = directory.tags[starts].numbers(order) if starts in directory.tags else ()
    lengths = directory.tags[counts].numbers(order) if counts in directory.tags else ()
    if not offsets:
        raise IndexError("no pixels")
    height, width = layout.size
    rows = max(1, min(height, _number(directory, order, 323 if tiled else 278, height)))
    wide = max(1, _number(directory, order, 322)) if tiled else width
    across = -(-width // wide)
    # Where each channel has strips of its own, they come one channel after the other.
    plane = -(-height // rows) * across
    channels = 1 if _number(directory, order, 284, 1) == 2 else layout.channels
    row = -(-wide * layout.bits * channels // 8) if layout.compression == 1 else 0  # bytes, where they can be known

    def before(k: int, at: int, length: int) -> int:
        """Whole rows of the picture down to what strip or tile `k` lacks."""
        top = k % plane // across * rows
        here = rows if tiled else min(rows, height - top)
        if at + (min(length, here * row) or length) <= size:
            return height
        return top + (max(0, size - at) // row if row and not tiled else 0)

    return min((before(k, *both) for k, both in enumerate(zip(offsets, lengths, strict=False))), default=height)


def _loader(
    path: Path, number: int, directory: Directory, layout: _Layout, header: Header, there: int, copy: _Lengthened
) -> Callable[[], pyvips.Image]:
    """Opens the page with libvips.

    libvips divides premultiplied colours by alpha, which can't be undone to the last bit: it is told, by two bytes
    changed on their way to it, that they are not premultiplied.
    """
    how = {"page": number, "access": "sequential", "fail_on": "none" if there < layout.size[0] else "error"}
    patch = (directory.tags[338].place, struct.pack(header.order + "H", 2)) if layout.alpha == "premultiplied" else None
    if there < layout.size[0] or copy.made:
        file = copy.of(2 * layout.size[0] * layout.size[1] * layout.channels, patch)
        return lambda: pyvips.Image.tiffload(file.name, **how)
    if patch is None:
        return lambda: pyvips.Image.tiffload(str(path), **how)
    return lambda: pyvips.Image.new_from_source(_patched(path, *patch), "", **how)


class _Lengthened:
    """A copy of a file that ends too early, with zeros at its end: libvips reads no part of a strip. One for all pages, made when it is wanted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: _TemporaryFileWrapper[bytes] | None = None

    @property
    def made(self) -> bool:
        """Whether there is one."""
        return self._file is not None

    def of(self, more: int, patch: tuple[int, bytes] | None) -> _TemporaryFileWrapper[bytes]:
        """The copy, at least `more` bytes longer than the file, and with the bytes of `patch` in their place."""
        if self._file is None:
            self._file = tempfile.NamedTemporaryFile(prefix="tintype-", suffix=".tif")  # noqa: SIM115 - goes when nobody reads it
            with self.path.open("rb") as file:
                shutil.copyfileobj(file, self._file)
        if patch:
            self._file.seek(patch[0])
            self._file.write(patch[1])
        self._file.flush()
        name = Path(self._file.name)
        self._file.truncate(max(name.stat().st_size, self.path.stat().st_size + more))
        return self._file


def _patched(path: Path, at: int, new: bytes) -> pyvips.Source:
    """The file with the bytes at `at` replaced, in a mapping of its own: nothing is read before it is asked for."""
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    mapped[at : at + len(new)] = new
    return pyvips.Source.new_from_memory(mapped)


def _metadata(directory: Directory, order: str) -> Metadata:
    """What the page carries: the tags that aren't about its samples, as an EXIF block, and the blocks that have fields of their own."""
    tags = {k: v for k, v in directory.tags.items() if k not in LAYOUT and k not in TIFF_ONLY}
    kept = Directory(tags, directory.children)
    extra = tuple(
        (f"tiff:{k}:{directory.tags[k].kind}:{order}", directory.tags[k].data) for k in TIFF_ONLY if k in directory.tags
    )
    blocks = {k: directory.tags[k].data for k in (700, 33723, 34675) if k in directory.tags}
    orientation = _number(directory, order, 274, 1)
    metadata = Metadata(
        icc=blocks.get(34675),
        exif=block_of(kept, order) if tags or directory.children else None,
        xmp=blocks.get(700),
        iptc=blocks.get(33723),
        dpi=_dpi(tags, order),
        extra=extra,
    )
    return replace(metadata, orientation=orientation if 1 <= orientation <= 8 else 1)


def _dpi(tags: dict[int, Tag], order: str) -> tuple[float, float] | None:
    """Pixels per inch from the resolution tags."""
    unit = tags[296].numbers(order)[0] if 296 in tags and tags[296].numbers(order) else 2
    if unit not in (2, 3) or any(k not in tags or tags[k].kind != 5 for k in (282, 283)):
        return None
    pairs = [struct.unpack_from(order + "II", tags[k].data) for k in (282, 283)]
    if any(a == 0 or b == 0 for a, b in pairs):
        return None
    x, y = (a / b * (2.54 if unit == 3 else 1) for a, b in pairs)
    return x, y
