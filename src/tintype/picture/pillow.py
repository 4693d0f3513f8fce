"""WebP and BMP, 8 bits both, through Pillow."""

from __future__ import annotations

import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tintype.errors import PictureError, SaveError
from tintype.picture.color import Bytes
from tintype.picture.picture import Metadata, Picture
from tintype.picture.raster import Raster
from tintype.picture.reading import DecodedPixels, ReadOptions, check_size, page_of, refusing, truncated

_OPENING = threading.Lock()


@contextmanager
def opened(path: Path, kind: str) -> Iterator[Image.Image]:
    """A file as Pillow sees it, header read. Its own limit of pixels is off: ours is checked on the header, with a remedy."""
    with _OPENING:
        limit = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        try:
            with warnings.catch_warnings():  # of broken metadata, which we keep or refuse ourselves
                warnings.simplefilter("ignore")
                image = Image.open(path, formats=[kind])
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    with image:
        yield image


def samples_of(image: Image.Image) -> Bytes:
    """Samples (H, W, C) uint8: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha."""
    mode = image.mode
    if mode not in ("L", "LA", "RGB", "RGBA"):
        image = image.convert("L" if mode == "1" else "RGBA" if "transparency" in image.info or mode == "PA" else "RGB")
    array = np.asarray(image)
    return array if array.ndim == 3 else array[..., None]


def mode_of(image: Image.Image) -> tuple[int, bool]:
    """(colour channels, has alpha) as `samples_of` will give them."""
    mode = image.mode
    alpha = mode in ("LA", "RGBA", "PA") or (mode == "P" and "transparency" in image.info)
    return (1 if mode in ("1", "L", "LA") else 3), alpha


def read_webp(path: Path, options: ReadOptions) -> Picture:
    """A WebP's one picture. Raises PictureError, TruncatedError, LimitError."""
    with path.open("rb") as file:
        head = file.read(30)
    if len(head) < 30 or struct.unpack_from("<I", head, 4)[0] + 8 > path.stat().st_size:
        raise truncated(path)
    check_size(path, _webp_size(head), options)
    with refusing(path), opened(path, "WEBP") as image:
        if getattr(image, "n_frames", 1) > 1:
            raise PictureError(path, "is an animation", "save one of its pictures as a WebP")
        return _picture(path, image, "webp", options, {"bits": "8", "photometric": "rgb"})


def _webp_size(head: bytes) -> tuple[int, int]:
    """(height, width) from the first chunk (RFC 9649), (1, 1) where the decoder is to complain."""
    if head[12:16] == b"VP8X":
        return 1 + int.from_bytes(head[27:30], "little"), 1 + int.from_bytes(head[24:27], "little")
    return 1, 1  # without the extended header a picture has at most 16383 x 16383 pixels


def read_bmp(path: Path, options: ReadOptions) -> Picture:
    """A BMP. Raises PictureError, TruncatedError, LimitError."""
    with path.open("rb") as file:
        head = file.read(54)
    if len(head) < 26:
        raise truncated(path)
    (size,) = struct.unpack_from("<I", head, 14)
    if size == 12:
        width, height, depth, packing = *struct.unpack_from("<HHxxH", head, 18), 0
    elif len(head) < 54:
        raise truncated(path)
    else:
        width, height, depth, packing = struct.unpack_from("<iixxHI", head, 18)
    height = abs(height)
    check_size(path, (height, width), options)
    (start,) = struct.unpack_from("<I", head, 10)
    plain = start + ((width * depth + 31) // 32 * 4) * height
    if packing in (0, 3, 6) and plain > path.stat().st_size:
        raise truncated(path)
    with refusing(path), opened(path, "BMP") as image:
        bits = "1" if depth == 1 and image.mode == "1" else "8"
        return _picture(path, image, "bmp", options, {"bits": bits, "photometric": "palette" if depth <= 8 else "rgb"})


def _picture(path: Path, image: Image.Image, kind: str, options: ReadOptions, stored: dict[str, str]) -> Picture:
    """The picture that `image` opened."""
    size = image.height, image.width
    colors, alpha = mode_of(image)
    exif = image.info.get("exif")
    metadata = Metadata(
        icc=image.info.get("icc_profile") or None,
        exif=exif.removeprefix(b"Exif\0\0") if exif else None,
        xmp=image.info.get("xmp") or None,
        dpi=image.info.get("dpi") if all(image.info.get("dpi", (0, 0))) else None,
    )

    def decode() -> Bytes:
        with opened(path, kind.upper()) as again:
            return samples_of(again)

    page = page_of(
        path, size, 8, colors, alpha, metadata, lambda s: DecodedPixels(path, size, s, decode), options, stored
    )
    return Picture((page,), path, kind)


def write_webp(path: Path, rasters: tuple[Raster, ...], name: Path) -> None:
    """Lossless WebP, colours under transparent pixels kept too."""
    raster = rasters[0]
    whole = raster.whole()
    if raster.channels < 3:
        whole = np.concatenate([whole[..., :1]] * 3 + [whole[..., 1:]], 2)
    blocks: dict[str, Any] = {
        "icc_profile": raster.metadata.icc,
        "exif": raster.metadata.exif,
        "xmp": raster.metadata.xmp,
    }
    given = {k: v for k, v in blocks.items() if v is not None}
    Image.fromarray(np.ascontiguousarray(whole)).save(
        path, "WEBP", lossless=True, exact=True, quality=50, method=2, **given
    )


def write_bmp(path: Path, rasters: tuple[Raster, ...], name: Path) -> None:
    """BMP of 8 bits: grey with a palette, RGB, or RGB and alpha; with a profile or alpha under a version 5 header."""
    raster = rasters[0]
    height, width = raster.size
    depth = 8 * raster.channels if raster.channels != 2 else 32
    line = (width * depth + 31) // 32 * 4
    palette = b"".join(bytes((k, k, k, 0)) for k in range(256)) if depth == 8 else b""
    icc = raster.metadata.icc or b""
    header = 124 if icc or depth == 32 else 40
    start = 14 + header + len(palette)
    x, y = (round(d / 0.0254) for d in raster.metadata.dpi or (0, 0))
    body = line * height
    if start + body + len(icc) >= 2**32:
        raise SaveError(name, "BMP can't hold more than 4 GB", "save as .png or .tif")
    with path.open("wb") as file:
        file.write(b"BM" + struct.pack("<IHHI", start + body + len(icc), 0, 0, start))
        packing = 3 if depth == 32 else 0
        file.write(
            struct.pack("<IiiHHIIiiII", header, width, height, 1, depth, packing, body, x, y, 256 if palette else 0, 0)
        )
        if header == 124:
            file.write(_version5(depth, icc, header + len(palette) + body))
        file.write(palette)
        top = 0
        for band in raster.bands():
            rows = np.zeros((len(band), line), np.uint8)
            rows[:, : width * depth // 8] = _bmp_order(band).reshape(len(band), -1)
            top += len(band)
            file.seek(start + (height - top) * line)  # BMP begins with the lowest row
            file.write(rows[::-1].tobytes())
        file.seek(start + body)
        file.write(icc)


def _version5(depth: int, icc: bytes, place: int) -> bytes:
    """The rest of a BITMAPV5HEADER: masks, colour space, profile."""
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000 if depth == 32 else 0)
    space = 0x4D424544 if icc else 0x73524742  # "MBED", "sRGB"
    return struct.pack("<4II36x3IIIII", *masks, space, 0, 0, 0, 4, place if icc else 0, len(icc), 0)


def _bmp_order(band: Bytes) -> Bytes:
    """Samples as BMP orders them: blue, green, red, alpha."""
    channels = band.shape[2]
    if channels == 1:
        return band
    order = {2: [0, 0, 0, 1], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]
    return np.ascontiguousarray(band[..., order])
