"""AVIF and HEIC. AVIF: 8 bits through Pillow, more through libvips, written by libvips. HEIC: through pillow-heif, the extra `heif`."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyvips

from tintype.errors import ModelError, PictureError
from tintype.picture.boxes import boxes
from tintype.picture.color import Bytes
from tintype.picture.ifd import without_turn
from tintype.picture.libvips import prepare
from tintype.picture.metadata import orientation_of
from tintype.picture.picture import Metadata, Picture
from tintype.picture.pillow import mode_of, opened, samples_of
from tintype.picture.raster import Raster
from tintype.picture.reading import DecodedPixels, ReadOptions, page_of, refusing, truncated
from tintype.picture.turn import upright

_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_EFFORT = 3  #: of the AV1 encoder, 0 to 9: lossless files are hardly smaller above


def brand_of(head: bytes) -> str:
    """ "avif", "heic" or "" from a file's first 64 bytes."""
    if head[4:8] != b"ftyp":
        return ""
    length = int.from_bytes(head[:4], "big")
    listed = [head[8:12], *(head[k : k + 4] for k in range(16, min(length, len(head)), 4))]
    if any(brand in (b"avif", b"avis") for brand in listed):
        return "avif"
    return "heic" if any(brand in _HEIC for brand in listed) else ""


def read_avif(path: Path, options: ReadOptions) -> Picture:
    """An AVIF's one picture. Of more than 8 bits it stands upright, as libvips turns it; else as stored."""
    _whole(path)
    with refusing(path):
        prepare()
        header = pyvips.Image.heifload(str(path))
        bits = header.get("bits-per-sample") if header.get_typeof("bits-per-sample") else 8
        if header.get_typeof("n-pages") and header.get("n-pages") > 1 and _animated(path):
            raise PictureError(path, "is an animation", "save one of its pictures as an AVIF")
        if bits > 8:
            return _deep_avif(path, header, bits, options)
        with opened(path, "AVIF") as image:
            if getattr(image, "n_frames", 1) > 1:
                raise PictureError(path, "is an animation", "save one of its pictures as an AVIF")
            size, (colors, alpha), info = (image.height, image.width), mode_of(image), image.info
        exif = info["exif"].removeprefix(b"Exif\0\0") if info.get("exif") else None
        metadata = Metadata(
            icc=info.get("icc_profile") or None,
            exif=exif,
            xmp=info.get("xmp") or None,
            orientation=orientation_of(exif),
        )

    def decode() -> Bytes:
        with opened(path, "AVIF") as again:
            return samples_of(again)

    stored = {"bits": "8", "photometric": "rgb"}
    page = page_of(
        path, size, 8, colors, alpha, metadata, lambda s: DecodedPixels(path, size, s, decode), options, stored
    )
    return Picture((page,), path, "avif")


def _deep_avif(path: Path, header: pyvips.Image, bits: int, options: ReadOptions) -> Picture:
    """10 or 12 bits, scaled to 16 of full range by libvips."""
    fields = {
        name: header.get(name) for name in ("icc-profile-data", "exif-data", "xmp-data") if header.get_typeof(name)
    }
    exif = without_turn(fields["exif-data"].removeprefix(b"Exif\0\0")) if "exif-data" in fields else None
    metadata = Metadata(icc=fields.get("icc-profile-data"), exif=exif, xmp=fields.get("xmp-data"))
    size = header.height, header.width
    alpha = header.bands in (2, 4)

    def decode() -> Bytes:
        pixels: Bytes = pyvips.Image.heifload(str(path), fail_on="error").numpy()
        pixels = pixels if pixels.ndim == 3 else pixels[..., None]
        return _scaled(pixels, bits)

    stored = {"bits": str(bits), "photometric": "rgb"}
    pixels = lambda s: DecodedPixels(path, size, s, decode)  # noqa: E731
    return Picture(
        (page_of(path, size, 16, header.bands - alpha, alpha, metadata, pixels, options, stored),), path, "avif"
    )


def _scaled(pixels: Bytes, bits: int) -> Bytes:
    """libvips shifts deep samples up to 16 bits: the low bits are filled, so that white is white."""
    full: Bytes = pixels | (pixels >> np.uint16(bits))
    return full


def read_heic(path: Path, options: ReadOptions) -> Picture:
    """A HEIC's primary picture, upright as libheif gives it. Raises ModelError without the extra."""
    library = _pillow_heif()
    _whole(path)
    with refusing(path):
        image = library.open_heif(path, convert_hdr_to_8bit=False, bgr_mode=False)
        info, mode = image.info, image.mode
        size = image.size[1], image.size[0]
    deep = mode.endswith(";16")
    alpha = mode.startswith(("RGBA", "LA"))
    colors = 1 if mode.startswith(("L", "I")) else 3
    exif = without_turn(info["exif"].removeprefix(b"Exif\0\0")) if info.get("exif") else None
    metadata = Metadata(icc=info.get("icc_profile") or None, exif=exif, xmp=info.get("xmp") or None)

    def decode() -> Bytes:
        again = library.open_heif(path, convert_hdr_to_8bit=False, bgr_mode=False)
        pixels = np.asarray(again)
        pixels = pixels if pixels.ndim == 3 else pixels[..., None]
        return _scaled(pixels, int(info.get("bit_depth", 10))) if deep else pixels

    stored = {"bits": str(info.get("bit_depth", 8)), "photometric": "rgb"}
    pixels = lambda s: DecodedPixels(path, size, s, decode)  # noqa: E731
    return Picture(
        (page_of(path, size, 16 if deep else 8, colors, alpha, metadata, pixels, options, stored),), path, "heic"
    )


def _pillow_heif() -> Any:
    try:
        return importlib.import_module("pillow_heif")
    except ImportError:
        raise ModelError("HEIC pictures need pillow-heif: pip install 'tintype[heif]'") from None


def _whole(path: Path) -> None:
    """Raises TruncatedError where a box goes on beyond the end."""
    try:
        with path.open("rb") as file:
            kinds = {kind for kind, _, _ in boxes(file, 0, path.stat().st_size)}
    except EOFError:
        raise truncated(path) from None
    except ValueError as error:
        raise PictureError(path, f"is corrupt: {error}") from error
    if b"meta" not in kinds:
        raise truncated(path, "has no pictures")


def _animated(path: Path) -> bool:
    with path.open("rb") as file:
        return b"avis" in file.read(64)


def write_avif(path: Path, rasters: tuple[Raster, ...], name: Path) -> None:
    """Lossless AVIF, 8 bits: the RGB values themselves are coded (identity matrix, 4:4:4)."""
    raster = rasters[0]
    prepare()
    image = pyvips.Image.new_from_array(_color(raster.whole()), interpretation="srgb").copy()
    metadata = raster.metadata
    exif = b"Exif\0\0" + metadata.exif if metadata.exif is not None else None
    for field, block in (("icc-profile-data", metadata.icc), ("exif-data", exif), ("xmp-data", metadata.xmp)):
        if block is not None:
            image.set_type(pyvips.GValue.blob_type, field, block)
    if metadata.dpi is not None:
        image = image.copy(xres=metadata.dpi[0] / 25.4, yres=metadata.dpi[1] / 25.4)
    image.heifsave(str(path), compression="av1", lossless=True, effort=_EFFORT)


def write_heic(path: Path, rasters: tuple[Raster, ...], name: Path) -> None:
    """Lossless HEIC, 8 bits. It is turned by a property of its own, so the pixels are written upright."""
    library = _pillow_heif()
    raster = rasters[0]
    metadata = raster.metadata
    whole: Bytes = cast(Any, upright)(_color(raster.whole()), metadata.orientation)
    if metadata.exif is not None:
        metadata = replace(metadata, exif=without_turn(metadata.exif))
    height, width, channels = whole.shape
    image = library.from_bytes(
        "RGBA" if channels == 4 else "RGB", (width, height), np.ascontiguousarray(whole).tobytes()
    )
    given = {"exif": metadata.exif, "xmp": metadata.xmp, "icc_profile": metadata.icc}
    image.info.update({k: v for k, v in given.items() if v is not None})
    image.save(path, format="HEIF", quality=-1, chroma=444, matrix_coefficients=0)


def _color(whole: Bytes) -> Bytes:
    """Grey as three equal channels."""
    if whole.shape[2] > 2:
        return whole
    return np.ascontiguousarray(np.concatenate([whole[..., :1]] * 3 + [whole[..., 1:]], 2))
