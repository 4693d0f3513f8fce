"""Every reader and writer of picture files, by content when reading and by the name's ending when writing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyvips

from tintype.errors import PictureError, SaveError, UsageError, refusal
from tintype.picture import heif, jp2, jpeg, pillow, png, pnm, profiles, tiff, tiff_write
from tintype.picture.atomic import replacing
from tintype.picture.color import Bytes, as_float
from tintype.picture.gamut import fit
from tintype.picture.join import join
from tintype.picture.metadata import stamp, unstamp
from tintype.picture.picture import Band, Chroma, ColoredPicture, Metadata, Page, Picture
from tintype.picture.raster import Limits, Raster, require
from tintype.picture.reading import ReadOptions, first_line
from tintype.picture.side_by_side import side_by_side

__all__ = ["EXTENSIONS", "ReadOptions", "open_picture", "save_colored", "save_gray", "save_side_by_side"]

#: A file's ending -> its format.
EXTENSIONS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "jpeg"),
    ".png": "png",
    **dict.fromkeys((".tif", ".tiff"), "tiff"),
    ".webp": "webp",
    ".avif": "avif",
    **dict.fromkeys((".heic", ".heif"), "heic"),
    ".bmp": "bmp",
    **dict.fromkeys((".pnm", ".ppm", ".pgm", ".pbm"), "pnm"),
    **dict.fromkeys((".jp2", ".j2k", ".j2c", ".jpc", ".jpx", ".jpf"), "jp2"),
}
_READERS: Mapping[str, Callable[[Path, ReadOptions], Picture]] = {
    "jpeg": jpeg.read,
    "png": png.read,
    "tiff": tiff.read,
    "webp": pillow.read_webp,
    "avif": heif.read_avif,
    "heic": heif.read_heic,
    "bmp": pillow.read_bmp,
    "pnm": pnm.read,
    "jp2": jp2.read,
}
_WRITERS: Mapping[str, Callable[[Path, tuple[Raster, ...], Path], None]] = {
    "png": png.write,
    "tiff": tiff_write.write,
    "webp": pillow.write_webp,
    "avif": heif.write_avif,
    "heic": heif.write_heic,
    "bmp": pillow.write_bmp,
    "pnm": pnm.write,
    "jp2": jp2.write,
}
_LIMITS = {
    "jpeg": Limits("JPEG", bits=8, alpha=False, longest=65500),
    "png": Limits("PNG", longest=2**31 - 1),
    "webp": Limits("WebP", bits=8, longest=16383),
    "avif": Limits("AVIF", bits=8, longest=16384),
    "heic": Limits("HEIC", bits=8, longest=16384),
    "bmp": Limits("BMP", bits=8, longest=2**31 - 1),
    "pnm": Limits("PNM", alpha=False),
    "jp2": Limits("JPEG 2000"),
}
#: Formats that people take for pictures and that aren't read: first bytes, name.
_OTHERS = (
    (b"GIF8", "a GIF"),
    (b"%PDF", "a PDF"),
    (b"8BPS", "a Photoshop file"),
    (b"\0\0\1\0", "an icon"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
)


def open_picture(path: Path, options: ReadOptions | None = None) -> Picture:
    """The picture in a file, its pixels not yet decoded. Raises PictureError, TruncatedError, LimitError, ModelError."""
    path = Path(path)
    try:
        if path.is_dir():
            raise PictureError(path, "is a folder", "name a file")
        with path.open("rb") as file:
            head = file.read(64)
        return _READERS[format_of(path, head)](path, options or ReadOptions())
    except FileNotFoundError as error:
        raise PictureError(path, "does not exist", refusal(error)[1]) from None
    except OSError as error:
        cause, remedy = refusal(error)
        raise PictureError(path, f"can't be read: {cause}", remedy) from error


def format_of(path: Path, head: bytes) -> str:
    """The format of a file by its first 64 bytes. Raises PictureError for what Tintype doesn't read."""
    if not head:
        raise PictureError(path, "is empty")
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(png.SIGNATURE):
        return "png"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "tiff"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace():
        return "pnm"
    if head[:2] == b"BM" and len(head) >= 18 and head[14] in (12, 40, 52, 56, 64, 108, 124):
        return "bmp"
    if head.startswith((jp2.SIGNATURE, jp2.CODESTREAM)):
        return "jp2"
    for start, name in _OTHERS:
        if head.startswith(start):
            raise PictureError(path, f"is {name}, which Tintype does not read", "save it as PNG or TIFF")
    kind = heif.brand_of(head)
    if kind:
        return kind
    raise PictureError(
        path, "is not a picture that Tintype can read", f"it reads {', '.join(sorted(_READERS)).upper()}"
    )


def save_colored(colored: ColoredPicture, path: Path, *, overwrite: bool, subsampling: str) -> None:
    """Write the coloured picture. JPEG keeps the coded luma where it can. Raises SaveError, UsageError."""
    kind = _kind(path)
    _require_room(path, kind, colored.picture)
    if kind == "jpeg":
        jpeg.write_colored(colored, path, subsampling, overwrite)
        return
    pairs = zip(colored.picture.pages, colored.chroma, strict=True)
    rasters = tuple(_colored_raster(page, chroma, colored) for page, chroma in pairs)
    _write(kind, rasters, colored.picture, path, overwrite)


def save_gray(picture: Picture, path: Path, *, overwrite: bool) -> None:
    """Take the colour off: luma, bit depth, profile and metadata as they were before colorizing. Raises SaveError, UsageError."""
    kind = _kind(path)
    _require_room(path, kind, picture)
    if kind == "jpeg":
        jpeg.write_gray(picture, path, overwrite)
        return
    _write(kind, tuple(_gray_raster(page) for page in picture.pages), picture, path, overwrite)


def save_side_by_side(colored: ColoredPicture, path: Path, *, overwrite: bool) -> None:
    """Write grey and colour as one picture, upright, for looking at. Raises SaveError, UsageError."""
    both = side_by_side(colored)
    save_colored(
        replace(both, picture=replace(both.picture, path=colored.picture.path)),
        path,
        overwrite=overwrite,
        subsampling="444",
    )


def _kind(path: Path) -> str:
    """The format that a name asks for. Raises UsageError."""
    kind = EXTENSIONS.get(path.suffix.lower())
    if kind is None:
        raise UsageError(
            f"{path}: the ending {path.suffix!r} names no format that Tintype writes (it writes {' '.join(sorted(EXTENSIONS))})"
        )
    return kind


def _require_room(path: Path, kind: str, picture: Picture) -> None:
    """Raises SaveError where the format can't hold all that the picture has, whatever its colours."""
    if kind == "tiff":
        return
    if len(picture.pages) > 1:
        raise SaveError(path, f"the picture has {len(picture.pages)} pages and only TIFF holds several", "save as .tif")
    if ("alpha", "premultiplied") in picture.pages[0].stored:
        raise SaveError(path, "the picture has premultiplied transparency, which only TIFF keeps", "save as .tif")
    require(path, picture.pages[0], _LIMITS[kind])


def _write(kind: str, rasters: tuple[Raster, ...], picture: Picture, path: Path, overwrite: bool) -> None:
    """Write to a temporary name, then rename."""
    with replacing(path, overwrite, picture.path) as part:
        try:
            _WRITERS[kind](part, rasters, path)
        except (pyvips.Error, ValueError, RuntimeError, MemoryError) as error:
            raise SaveError(path, f"can't be written: {first_line(error)}", "another format may do") from error


def _colored_raster(page: Page, chroma: Chroma, colored: ColoredPicture) -> Raster:
    """A page joined with its chroma."""
    stored = dict(page.stored)
    kept = {k: v for k, v in stored.items() if k in ("compression", "alpha")}
    xmp = stamp(page.metadata.xmp, colored.method, colored.sha256, stored)
    metadata = replace(page.metadata, xmp=xmp, icc=profiles.space_of(page.metadata.icc).rgb_profile)
    premultiplied = stored.get("alpha") == "premultiplied"

    def bands() -> Iterator[Bytes]:
        for band in page.pixels.bands():
            yield _joined(band, chroma, premultiplied)

    return Raster(page.size, page.bits, 4 if page.has_alpha else 3, bands, metadata, kept)


def _joined(band: Band, chroma: Chroma, premultiplied: bool) -> Bytes:
    """Samples (n, W, 3 or 4) of a band."""
    luma = as_float(band.luma)
    if band.alpha is None:
        return join(band.luma, chroma.rows(luma, band.top))
    if not premultiplied:
        return np.dstack([join(band.luma, chroma.rows(luma, band.top)), band.alpha])
    # Premultiplied samples lie between 0 and alpha: the colour is found and fitted as if they weren't, and multiplied.
    alpha = as_float(band.alpha)
    straight = np.clip(luma / np.maximum(alpha, np.float32(1e-6)), 0, 1).astype(np.float32)
    own = fit(straight, straight, chroma.rows(straight, band.top)) * alpha[..., None]
    return np.dstack([join(band.luma, own), band.alpha])


def _gray_raster(page: Page) -> Raster:
    """A page without its colour. What was stored as RGB comes back as RGB, its three channels equal."""
    xmp, before = _unstamped(page.metadata.xmp)
    stored = {k: v for k, v in page.stored if k in ("compression", "alpha")} | before
    icc = profiles.original_grey(page.metadata.icc) or page.metadata.icc
    channels = 3 if stored.get("photometric") == "rgb" else 1
    bands = partial(_gray_bands, page, channels)
    return Raster(
        page.size, page.bits, channels + page.has_alpha, bands, _without_color(page.metadata, xmp, icc), stored
    )


def _unstamped(xmp: bytes | None) -> tuple[bytes | None, dict[str, str]]:
    """As `unstamp`, for a picture that may have been coloured more than once: what was said first counts."""
    stored: dict[str, str] = {}
    while True:
        inner, found = unstamp(xmp)
        stored |= found
        if inner == xmp:
            return inner, stored
        xmp = inner


def _without_color(metadata: Metadata, xmp: bytes | None, icc: bytes | None) -> Metadata:
    return replace(metadata, xmp=xmp, icc=icc)


def _gray_bands(page: Page, channels: int) -> Iterator[Bytes]:
    """Samples (n, W, C) of a page's luma and alpha."""
    for band in page.pixels.bands():
        planes = [band.luma] * channels + ([band.alpha] if band.alpha is not None else [])
        yield np.stack(planes, -1)
