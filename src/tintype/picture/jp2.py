"""JPEG 2000: codestreams through OpenJPEG (Pillow where it does, pylibjpeg-openjpeg for 16-bit colour), the boxes around them here."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np
from openjpeg.utils import decode, encode_array
from PIL import Image

from tintype.errors import PictureError, SaveError
from tintype.picture.boxes import box, boxes, payload
from tintype.picture.color import Bytes
from tintype.picture.picture import Metadata, Picture
from tintype.picture.pillow import opened, samples_of
from tintype.picture.raster import Raster, rescale
from tintype.picture.reading import DecodedPixels, ReadOptions, Samples, check_size, page_of, refusing, truncated

SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
CODESTREAM = b"\xff\x4f\xff\x51"
_UUIDS = {
    bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC"): "xmp",
    b"JpgTiffExif->JP2": "exif",
    bytes.fromhex("33C7A4D2B81D4723A0BAF1A3E097AD38"): "iptc",
}
#: OpenJPEG is asked for five halvings by pylibjpeg; a side below 2**5 has none.
_SMALLEST = 32


@dataclass(frozen=True)
class _Codestream:
    """What the codestream's SIZ marker says."""

    size: tuple[int, int]
    bits: int
    channels: int


def read(path: Path, options: ReadOptions) -> Picture:
    """A JP2 file's or a bare codestream's picture. Raises PictureError, TruncatedError, LimitError."""
    end = path.stat().st_size
    with path.open("rb") as file:
        try:
            found = _boxes(file, end) if file.read(4) != CODESTREAM else {b"jp2c": (0, end)}
            stream, whole = _siz(path, file, found[b"jp2c"])
            check_size(path, stream.size, options)
            # A decoder may make room for the one and decode the other.
            if b"ihdr" in found and struct.unpack_from(">II", payload(file, *found[b"ihdr"])) != stream.size:
                raise PictureError(path, "is corrupt: its two headers have different sizes")
            metadata, has_alpha, palette, ycc = _metadata(file, found)
        except EOFError:
            raise truncated(path) from None
        except (KeyError, IndexError, ValueError, struct.error) as error:
            raise PictureError(path, "is corrupt: a JPEG 2000 file without its header") from error
    if not whole:  # OpenJPEG gives nothing of such a file
        raise truncated(path)
    if palette or ycc:
        colors, has_alpha = 3, False
        if stream.bits > 8:
            raise PictureError(path, "has YCbCr or palette colours of more than 8 bits", "convert it to RGB")
    else:
        has_alpha = has_alpha or stream.channels in (2, 4)
        colors = stream.channels - has_alpha
    if colors not in (1, 3):
        raise PictureError(
            path, f"has {stream.channels} channels", "keep grey or RGB, and at most one channel of transparency"
        )
    stored = {"bits": str(stream.bits), "photometric": "grey" if colors == 1 else "rgb"}

    def pixels(samples: Samples) -> DecodedPixels:
        return DecodedPixels(path, stream.size, samples, lambda: _decoded(path, stream))

    bits = 8 if stream.bits <= 8 else 16
    return Picture(
        (page_of(path, stream.size, bits, colors, has_alpha, metadata, pixels, options, stored),), path, "jp2"
    )


def _boxes(file: BinaryIO, end: int) -> dict[bytes, tuple[int, int]]:
    """The last box of each type, of the file and of its header; metadata boxes by their name."""
    found: dict[bytes, tuple[int, int]] = {}
    for kind, start, stop in boxes(file, 0, end):
        found[kind] = start, stop
        if kind == b"jp2h":
            for inner, a, b in boxes(file, start, stop):
                found.setdefault(inner, (a, b))
                if inner == b"res ":
                    found.update((k, (c, d)) for k, c, d in boxes(file, a, b))
        elif kind == b"uuid":
            file.seek(start)
            name = _UUIDS.get(file.read(16))
            if name is not None:
                found.setdefault(name.encode(), (start + 16, stop))
    return found


def _siz(path: Path, file: BinaryIO, place: tuple[int, int]) -> tuple[_Codestream, bool]:
    """The codestream's header and whether its end is there."""
    file.seek(place[0])
    head = file.read(42)
    if head[:4] != CODESTREAM:
        raise ValueError("no codestream")
    if len(head) < 42:
        raise EOFError
    x1, y1, x0, y0 = struct.unpack_from(">4I", head, 8)
    (channels,) = struct.unpack_from(">H", head, 40)
    parts = file.read(3 * channels)
    depths = {parts[3 * k] for k in range(channels)}
    if any(d & 0x80 for d in depths):
        raise PictureError(path, "has signed integer samples", "convert it to 8 or 16 bits")
    bits = max(depths) + 1
    if bits > 16 or len(depths) > 1:
        raise PictureError(
            path, f"has {'/'.join(str(d + 1) for d in sorted(depths))} bits per sample", "convert it to 8 or 16 bits"
        )
    file.seek(max(place[1] - 2, 0))
    return _Codestream((y1 - y0, x1 - x0), bits, channels), file.read(2) == b"\xff\xd9"


def _metadata(file: BinaryIO, found: dict[bytes, tuple[int, int]]) -> tuple[Metadata, bool, bool, bool]:
    """Metadata, and whether there are alpha, a palette, and YCbCr colours."""
    blocks = {name: payload(file, *found[name.encode()]) for name in _UUIDS.values() if name.encode() in found}
    color = payload(file, *found[b"colr"]) if b"colr" in found else b""
    icc = color[3:] if color[:1] in (b"\2", b"\3") else None
    dpi = None
    if b"resc" in found:
        y, y_part, x, x_part, y_power, x_power = struct.unpack(">4H2b", payload(file, *found[b"resc"]))
        dpi = (
            (x / x_part * 10.0**x_power * 0.0254, y / y_part * 10.0**y_power * 0.0254)
            if x_part and y_part and x and y
            else None
        )
    definitions = payload(file, *found[b"cdef"]) if b"cdef" in found else b"\0\0"
    alpha = any(
        struct.unpack_from(">3H", definitions, 2 + 6 * k)[1] in (1, 2)
        for k in range(struct.unpack_from(">H", definitions)[0])
    )
    exif = blocks.get("exif")
    metadata = Metadata(
        icc=icc,
        exif=exif.removeprefix(b"Exif\0\0") if exif else None,
        xmp=blocks.get("xmp"),
        iptc=blocks.get("iptc"),
        dpi=dpi,
    )
    return metadata, alpha, b"pclr" in found, color[:1] == b"\1" and color[3:7] == b"\0\0\0\x12"


def _decoded(path: Path, stream: _Codestream) -> Bytes:
    """Samples (H, W, C), scaled to 8 or 16 bits of full range."""
    if stream.bits == 8:
        with opened(path, "JPEG2000") as image:
            return samples_of(image)
    with refusing(path):
        samples = decode(path)
    samples = samples if samples.ndim == 3 else samples[..., None]
    return rescale(samples, stream.bits, 8 if stream.bits <= 8 else 16)


def write(path: Path, rasters: tuple[Raster, ...], name: Path) -> None:
    """Reversible JPEG 2000 in a JP2 file (or bare, as .j2k)."""
    raster = rasters[0]
    bits = raster.depth(name, *range(1, 16))
    stream = _encoded(raster, bits, name)
    if name.suffix.lower() in (".j2k", ".j2c", ".jpc"):
        path.write_bytes(stream)
        return
    metadata = raster.metadata
    with path.open("wb") as file:
        file.write(SIGNATURE + box(b"ftyp", b"jp2 \0\0\0\0jp2 ") + box(b"jp2h", _header(raster, bits)))
        for uuid, key in _UUIDS.items():
            block = getattr(metadata, key)
            if block is not None:
                file.write(box(b"uuid", uuid + block))
        file.write(
            struct.pack(">I4s", 0, b"jp2c")
            if len(stream) + 8 >= 2**32
            else struct.pack(">I4s", 8 + len(stream), b"jp2c")
        )
        file.write(stream)


def _encoded(raster: Raster, bits: int, name: Path) -> bytes:
    """The codestream."""
    whole = raster.whole()
    if bits < raster.bits:
        whole = rescale(whole, raster.bits, bits)
    if bits == 8 and raster.bits == 8:
        out = io.BytesIO()
        squeezed = np.ascontiguousarray(whole[..., 0] if raster.channels == 1 else whole)
        Image.fromarray(squeezed).save(out, "JPEG2000", irreversible=False, mct=raster.channels == 3, no_jp2=True)
        return out.getvalue()
    if raster.channels == 2:
        whole = np.concatenate([whole[..., :1]] * 3 + [whole[..., 1:]], 2)
    if min(raster.size) < _SMALLEST:
        raise SaveError(
            name, f"JPEG 2000 of {bits} bits must have at least {_SMALLEST} pixels on each side", "save as .png or .tif"
        )
    kind = 1 if raster.channels == 3 else 2 if raster.channels == 1 else 0
    data = np.ascontiguousarray(whole[..., 0] if raster.channels == 1 else whole)
    stream: bytes = encode_array(data, bits_stored=bits, photometric_interpretation=kind, codec_format=0)
    return stream


def _header(raster: Raster, bits: int) -> bytes:
    """The JP2 header's boxes."""
    channels = 4 if raster.channels == 2 and raster.bits == 16 else raster.channels
    out = box(b"ihdr", struct.pack(">IIHBBBB", *raster.size, channels, bits - 1, 7, 0, 0))
    if raster.metadata.icc is not None:
        out += box(b"colr", b"\2\0\0" + raster.metadata.icc)
    else:
        out += box(b"colr", b"\1\0\0" + struct.pack(">I", 16 if channels > 2 else 17))
    if raster.has_alpha:
        colors = channels - 1
        entries = [(k, 0, k + 1) for k in range(colors)] + [(colors, 1, 0)]
        out += box(b"cdef", struct.pack(">H", channels) + b"".join(struct.pack(">3H", *e) for e in entries))
    if raster.metadata.dpi is not None:
        (x, x_power), (y, y_power) = (_per_metre(d) for d in raster.metadata.dpi)
        numbers = y.numerator, y.denominator, x.numerator, x.denominator, y_power, x_power
        out += box(b"res ", box(b"resc", struct.pack(">4H2b", *numbers)))
    return out


def _per_metre(dpi: float) -> tuple[Fraction, int]:
    """Pixels per metre as a fraction of 16-bit numbers and a power of ten."""
    value, power = Fraction(dpi).limit_denominator(100) / Fraction(254, 10_000), 0
    while value.numerator > 65535 and power < 100:
        value, power = value / 10, power + 1
    return (value if value.denominator < 65536 else Fraction(round(value))), power
