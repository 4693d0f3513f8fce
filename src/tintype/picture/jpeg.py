"""JPEG files: read, and written with colour added to the luma that is already coded.

From JPEG to JPEG, luma's DCT coefficients and quantization table are the input's own; only Cb and Cr are new. Markers
(EXIF, profile, IPTC, comments, density ...) are taken from the input's bytes, so none is lost or changed; an index of
further pictures in the file (MPF) is left out, as it would point to nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from tintype.errors import DamagedError, PictureError, SaveError, TruncatedError
from tintype.picture import coefficients, profiles, segments
from tintype.picture.atomic import replacing
from tintype.picture.color import Bytes
from tintype.picture.jpeg_notes import notes_of, with_grey_profile, with_profile, with_provenance, without_provenance
from tintype.picture.jpeg_pixels import JpegPixels
from tintype.picture.picture import ColoredPicture, Metadata, Page, Picture, with_note
from tintype.picture.reading import ENDS_EARLY, ReadOptions, Samples, check_size, page_of, refusing, truncated
from tintype.picture.segments import Header
from tintype.picture.stripes import colored_file

#: Quality of luma where it must be coded anew.
QUALITY = 95
_ENDING = b"\xff\xd9"
_AS_IT_SHOULD = ReadOptions()


def read(path: Path, options: ReadOptions = _AS_IT_SHOULD) -> Picture:
    """A JPEG file as a picture of one page. Raises PictureError, TruncatedError, LimitError."""
    with refusing(path):
        data = path.read_bytes()
    header = _header(path, data, options)
    frame = header.frame
    stored = (
        {"adobe": str(header.transform)} if len(frame.components) == 1 and header.transform not in (None, 1) else {}
    )
    metadata = Metadata(
        icc=segments.profile_in(header.segments),
        exif=header.first(segments.APP1, segments.EXIF),
        xmp=header.first(segments.APP1, segments.XMP),
        iptc=header.iptc,
        dpi=header.dpi,
    )
    first, note = _opened(path, data, header, options)

    def pixels(samples: Samples) -> JpegPixels:
        return first if samples == first.samples else replace(first, samples=samples, direct=False)

    page = page_of(path, frame.size, 8, len(frame.components), False, metadata, pixels, options, stored)
    if note:
        page = with_note(page, note)
    if not keeps_coefficients(Picture((page,))):
        page = with_note(page, f"a JPEG made from it has its luma coded anew, at quality {QUALITY}")
    return Picture((page,), path, "jpeg")


def _header(path: Path, data: bytes, options: ReadOptions) -> Header:
    """The header of a file that can be decoded as far as can be seen from there."""
    if not data:
        raise PictureError(path, "is empty")
    try:
        header = segments.parse(data)
    except EOFError as error:
        raise truncated(path, str(error)) from error
    except ValueError as error:
        raise PictureError(path, f"is corrupt: {error}") from error
    frame = header.frame
    check_size(path, frame.size, options)
    if frame.marker not in segments.HUFFMAN or frame.bits != 8:
        arithmetic = "arithmetically coded" if frame.marker in segments.ARITHMETIC else "lossless or hierarchical"
        kind = f"{frame.bits}-bit" if frame.bits != 8 else arithmetic
        raise PictureError(
            path,
            f"is a JPEG of a rare kind ({kind}) that is not supported",
            "save it as TIFF or PNG with the program that made it",
        )
    if len(frame.components) not in (1, 3, 4) or any(not 1 <= k <= 4 for c in frame.components for k in c.sampling):
        raise PictureError(
            path,
            f"is corrupt: its header speaks of {len(frame.components)} planes with sampling {[c.sampling for c in frame.components]}",
        )
    return header


def _opened(path: Path, data: bytes, header: Header, options: ReadOptions) -> tuple[JpegPixels, str]:
    """The file's pixels, and a note of what is wrong with it. Raises TruncatedError and PictureError where it is refused."""
    height, width = header.frame.size
    # No coding takes less than two bits for a block of 64 pixels (one, in one progressive scan): nothing needs be allocated.
    if height * width > 600 * len(data):
        raise truncated(path)
    pixels = JpegPixels(path, data, header, Samples(), _keeps_luma(data, header))
    try:
        pixels.check()
        return pixels, ""
    except DamagedError as error:
        # Bytes too many before the end marker: the only warning that comes after all samples.
        more = re.search(r": ((\d+) extraneous bytes before marker 0xd9)$", error.cause)
        end = data.find(_ENDING, header.scan)
        if more and _is_whole(clean := replace(pixels, data=data[: end - int(more[2])] + data[end:])):
            return clean, f"the file may be damaged: {more[1]}"
        if not options.allow_truncated:
            raise
        note = f"the file {error.cause}; what is lost is wrong or grey"
    except TruncatedError:
        if not options.allow_truncated:
            raise
        note = ENDS_EARLY
        # Of several scans, whole ones may be missing, which libjpeg doesn't mind.
        one = header.frame.marker != segments.PROGRESSIVE and data[header.scan + 4] == len(header.frame.components)
        if one and _is_whole(ended := replace(pixels, data=data + _ENDING)):
            return ended, "the file lacked its end marker, which was added"
    forgiving = replace(pixels, data=data + _ENDING, direct=False)
    try:
        forgiving.preview()
    except TruncatedError:
        raise truncated(path) from None
    return forgiving, note


def _is_whole(pixels: JpegPixels) -> bool:
    """Whether the file decodes to its end without a word of libjpeg's."""
    try:
        return pixels.check()
    except PictureError:
        return False


def _keeps_luma(data: bytes, header: Header) -> bool:
    """Whether the first plane is luma at full size, and its table the one in the header."""
    first, *others = header.frame.components
    if not others:
        return True
    jfif = header.first(segments.APP0, segments.JFIF) is not None
    # As libjpeg guesses: JFIF means YCbCr; then Adobe's marker says; then the planes' names.
    rgb = not jfif and (
        header.transform == 0
        if header.transform is not None
        else [c.name for c in header.frame.components] == [*b"RGB"]
    )
    full = all(first.sampling[k] >= c.sampling[k] for c in others for k in (0, 1))
    end = data.find(_ENDING, header.scan)
    return len(others) == 2 and not rgb and full and data.find(b"\xff\xdb", header.scan, end) < 0


def keeps_coefficients(picture: Picture) -> bool:
    """Whether a JPEG made from `picture` holds the very coefficients of its luma: a grey or YCbCr JPEG file, complete, its profile kept."""
    pixels = picture.pages[0].pixels
    return isinstance(pixels, JpegPixels) and pixels.direct


def write_colored(colored: ColoredPicture, path: Path, subsampling: str = "420", overwrite: bool = False) -> None:
    """The first page with its colour as a JPEG file; chroma is reduced twofold both ways ("420") or not ("444").

    Luma's coefficients are kept where `keeps_coefficients`, otherwise luma is coded at QUALITY. Raises SaveError.
    """
    if subsampling not in ("420", "444"):
        raise SaveError(path, f"has no chroma subsampling {subsampling!r}", "use 420 or 444")
    page = colored.picture.pages[0]
    with replacing(path, overwrite, colored.picture.path) as part:
        source = _source(page, path)
        notes = segments.with_transform(with_provenance(source.notes, colored), 1)
        notes = with_profile(notes, profiles.space_of(page.metadata.icc).rgb_profile, path)
        with _broken(colored.picture.path or path):
            data = colored_file(
                source.data, source.header, source.luma, notes, colored.chroma[0], 2 if subsampling == "420" else 1
            )
        part.write_bytes(data)


def write_gray(picture: Picture, path: Path, overwrite: bool = False) -> None:
    """A one-plane JPEG of the first page: luma's coefficients, markers and profile as they were before any colour. Raises SaveError."""
    page = picture.pages[0]
    with replacing(path, overwrite, picture.path) as part:
        source = _source(page, path)
        notes = with_grey_profile(without_provenance(source.notes), path)
        if len(source.header.frame.components) == 1:
            tables = (s for s in source.header.segments if not segments.is_note(s))
            part.write_bytes(
                b"\xff\xd8" + b"".join(s.coded() for s in (*notes, *tables)) + source.data[source.header.scan :]
            )
        else:
            size = source.header.frame.size
            with _broken(picture.path or path):
                luma, table = coefficients.read_luma(source.data, source.header.frame)
                coded = coefficients.write(size, (luma,), (table,))
            part.write_bytes(segments.joined(notes, [coded], size))


# --- what is written ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Source:
    """A JPEG whose luma is kept: its clean bytes and header, how to decode its luma (H, W, 1), and the notes that go with it."""

    data: bytes
    header: Header
    luma: Callable[[], Bytes]
    notes: tuple[segments.Segment, ...]


def _source(page: Page, path: Path) -> _Source:
    """The page's own file, or its luma as a new one. `path` is for errors."""
    pixels = page.pixels
    if isinstance(pixels, JpegPixels):
        notes = tuple(
            s for s in pixels.header.segments if segments.is_note(s) and not s.is_(segments.APP2, segments.MPF)
        )
        if pixels.direct:
            data = segments.plain(pixels.data, pixels.header)
            return _Source(data, segments.parse(data), pixels.whole, notes)
        notes = with_profile(tuple(s for s in notes if s.marker != segments.APP14), page.metadata.icc, path)
    else:
        notes = notes_of(page.metadata, path)
    height, width = page.size
    luma = Image.new("L", (width, height))
    for band in pixels.bands():
        luma.paste(Image.fromarray(np.ascontiguousarray(band.luma)), (0, band.top))
    coded = BytesIO()
    luma.save(coded, "JPEG", quality=QUALITY, optimize=True)
    data = coded.getvalue()
    header = segments.parse(data)
    # Chroma is fitted to what was coded, not to what was to be coded.
    return _Source(data, header, JpegPixels(path, data, header, Samples(), True).whole, notes)


@contextmanager
def _broken(path: Path) -> Iterator[None]:
    """What libjpeg refuses, although it could be decoded, is the fault of the file `path`: values out of range."""
    try:
        yield
    except ValueError as error:
        raise PictureError(path, f"is corrupt: {error}", "save it anew with another program") from error
