"""ICC profiles: what the coloured file embeds so that each grey looks exactly as it did, and how sRGB colours are said in it.

The rule:

- no profile: sRGB, nothing is embedded;
- an RGB profile whose R = G = B axis is neutral is kept as it is; luma's numbers stay, the network sees them as sRGB
  would code the same greys, and its chroma is expressed in that profile (at the small size, through lcms in 16 bit);
- a grey profile becomes an RGB profile of our own: sRGB's primaries (adapted to D50) with the grey profile's own tone
  curve, so that R = G = B = v looks exactly as grey v did. The grey profile travels whole in a private tag, and taking
  the colour off again gives it back byte for byte;
- anything else (CMYK, an RGB table whose grey axis is tinted or that can't be used backwards) can't be kept: the
  pixels are converted to sRGB by lcms while they are read, and the page's notes say so;
- a profile that lcms can't read is an error; the reader may be told to ignore it.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyvips
from numpy.typing import NDArray
from PIL import ImageCms

from tintype.picture.color import Bytes, merge, split
from tintype.picture.gamut import fit
from tintype.picture.libvips import prepare

Float = NDArray[np.float32]

#: Our private tag, which holds a grey profile.
_KEPT = b"tnty"
#: Steps of a sampled tone curve.
_STEPS = 4096
#: How far (in CIELAB's a or b) an RGB profile's grey axis may be from neutral to count as such.
_NEUTRAL = 1.0
#: sRGB's primaries, adapted to D50 (IEC 61966-2-1 and its ICC profile), as X, Y, Z in 1/65536.
_PRIMARIES = ((b"rXYZ", (28578, 14580, 912)), (b"gXYZ", (25241, 46981, 6362)), (b"bXYZ", (9376, 3975, 46786)))
_D50 = (63190, 65536, 54061)

Verdict = Literal["keep", "convert", "mismatch"]


@dataclass(frozen=True)
class Space:
    """A file's coding of grey and colour. `rgb_profile` is what the coloured file embeds; `curve` is sRGB's code of grey k / 4095."""

    rgb_profile: bytes | None = None
    curve: Float | None = None

    def to_srgb(self, luma: Float) -> Float:
        """Luma (...) in [0, 1] as the file codes it -> as sRGB codes the same grey."""
        if self.curve is None:
            return luma
        return np.interp(luma, np.linspace(0, 1, len(self.curve)), self.curve).astype(np.float32)

    def from_srgb(self, luma: Float, chroma: Float) -> Float:
        """Chroma (h, w, 2) beside sRGB's luma -> beside the file's own `luma` (h, w), so that the colour looks the same."""
        if self.rgb_profile is None or luma.size == 0:
            return chroma
        base = self.to_srgb(luma)
        rgb = np.clip(merge(base, fit(base, base, chroma)), 0, 1)
        image = _image(np.rint(rgb * 65535).astype(np.uint16), None).icc_import(
            input_profile="srgb", pcs="lab", intent="relative"
        )
        own = _with_icc(image, self.rgb_profile).icc_export(pcs="lab", intent="relative", depth=16).numpy()
        return split(own.astype(np.float32) * np.float32(1 / 65535))[1]


def space_of(icc: bytes | None) -> Space:
    """The space of a profile that `judge` keeps. Raises ValueError for one that can't be read."""
    if icc is None:
        return Space()
    if _kind(icc) == b"GRAY":
        made = _rgb_from_grey(icc, _lab_of_ramp(icc, 1)[:, 0])
        return Space(made, _srgb_code(_lab_of_ramp(made, 3)[:, 0]))
    return Space(icc, _srgb_code(_lab_of_ramp(icc, 3)[:, 0]))


def judge(icc: bytes | None, colors: int) -> Verdict:
    """What to do about the profile of a page of `colors` colour channels (1 grey, 3 RGB, 4 CMYK).

    "keep": as the module's rule says; "convert": the pixels must be converted with `converter`; "mismatch": the profile
    is for other pixels. Raises ValueError where lcms can't use it.
    """
    if icc is None:
        return "keep" if colors < 4 else "convert"
    kind = _kind(icc)
    if kind not in (b"GRAY", b"RGB ", b"CMYK", b"Lab "):
        raise ValueError(f"it is for {kind.decode('latin-1').strip()!r} colours")
    if colors == 4:
        if kind != b"CMYK":
            return "mismatch"
        _lab_of_ramp(icc, 4)
        return "convert"
    if kind == b"GRAY":
        _lab_of_ramp(icc, 1)
        return "keep"
    if kind != b"RGB ":
        return "mismatch"
    tint = float(np.abs(_lab_of_ramp(icc, 3)[:, 1:]).max())
    if tint <= _NEUTRAL and _works_backwards(icc):
        return "keep"
    return "convert" if colors == 3 else "mismatch"


def converter(icc: bytes | None, colors: int) -> Callable[[Bytes], Bytes]:
    """A function from samples (n, W, colors) to sRGB (n, W, 3) of the same type, through `icc` or, without one, a common CMYK profile."""

    def convert(samples: Bytes) -> Bytes:
        kind = {3: ("srgb", "rgb16"), 4: ("cmyk", "cmyk")}[colors][samples.dtype == np.uint16]
        image = _image(samples, kind)
        depth = 8 * samples.dtype.itemsize
        if icc is None:
            out = image.icc_transform(
                "srgb", input_profile="cmyk", intent="relative", black_point_compensation=True, depth=depth
            )
        else:
            image = _with_icc(image, icc)
            out = image.icc_transform(
                "srgb", embedded=True, intent="relative", black_point_compensation=True, depth=depth
            )
        pixels: Bytes = out.numpy()
        return pixels.reshape(*samples.shape[:2], 3)

    return convert


def original_grey(icc: bytes | None) -> bytes | None:
    """The grey profile inside a profile that `space_of` made; None for any other."""
    try:
        return _tag(icc, _KEPT, 8) if icc is not None else None
    except ValueError:
        return None


def _kind(icc: bytes) -> bytes:
    """The profile's colour space signature. Raises ValueError where it is no profile."""
    if len(icc) < 132 or icc[36:40] != b"acsp":
        raise ValueError("it is no ICC profile")
    return icc[16:20]


def _tag(icc: bytes, name: bytes, skip: int = 0) -> bytes | None:
    """The data of tag `name` without its first `skip` bytes, or None. Raises ValueError where the table is broken."""
    try:
        (count,) = struct.unpack_from(">I", icc, 128)
        for k in range(min(count, 1000)):
            signature, at, length = struct.unpack_from(">4sII", icc, 132 + 12 * k)
            if signature == name:
                return icc[at + skip : at + length] if at + length <= len(icc) else None
    except struct.error as error:
        raise ValueError("its table of tags is broken") from error
    return None


def _image(samples: Bytes, interpretation: str | None) -> pyvips.Image:
    """Samples (h, w, C) as a vips image."""
    prepare()
    h, w, c = samples.shape
    data = np.ascontiguousarray(samples)
    kind = "uchar" if data.dtype == np.uint8 else "ushort"
    image = pyvips.Image.new_from_memory(data, w, h, c, kind)
    default = {1: "grey16", 3: "rgb16", 4: "cmyk"}[c]
    return image.copy(interpretation=interpretation or default)


def _with_icc(image: pyvips.Image, icc: bytes) -> pyvips.Image:
    image = image.copy()
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", icc)
    return image


def _lab_of_ramp(icc: bytes, colors: int) -> NDArray[np.float64]:
    """CIELAB (4096, 3) of equal channels from 0 to full. Raises ValueError where lcms can't use the profile."""
    _require_sound(icc, colors)
    ramp = np.rint(np.linspace(0, 65535, _STEPS)).astype(np.uint16)
    image = _image(np.repeat(ramp[None, :, None], colors, 2), None)
    try:
        lab = _with_icc(image, icc).icc_import(embedded=True, pcs="lab", intent="relative").numpy()
    except pyvips.Error as error:
        raise ValueError("lcms can't use it") from error
    if not np.isfinite(lab).all():
        raise ValueError("it gives no colours")
    greys: NDArray[np.float64] = lab.reshape(_STEPS, 3).astype(np.float64)
    return greys


def _require_sound(icc: bytes, colors: int) -> None:
    """Raises ValueError where lcms can't use the profile: libvips would take another one in its place and only warn."""
    mode = {1: "L", 3: "RGB", 4: "CMYK"}[colors]
    try:
        ImageCms.buildTransform(ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("LAB"), mode, "LAB")
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError) as error:
        raise ValueError("lcms can't use it") from error


def _works_backwards(icc: bytes) -> bool:
    """Whether colours can be expressed in the profile."""
    lab = _image(np.full((1, 1, 3), 30000, np.uint16), None).icc_import(
        input_profile="srgb", pcs="lab", intent="relative"
    )
    try:
        _with_icc(lab, icc).icc_export(pcs="lab", intent="relative", depth=16).numpy()
    except pyvips.Error:
        return False
    return True


def _luminance(lightness: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIE L* -> Y in [0, 1]."""
    f = (np.clip(lightness, 0, 100) + 16) / 116
    return np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))


def _srgb_code(lightness: NDArray[np.float64]) -> Float:
    """CIE L* -> sRGB's code of that grey, in [0, 1]."""
    y = np.clip(_luminance(lightness), 0, 1)
    return np.where(y <= 0.0031308, 12.92 * y, 1.055 * y ** (1 / 2.4) - 0.055).astype(np.float32)


def _rgb_from_grey(icc: bytes, lightness: NDArray[np.float64]) -> bytes:
    """An RGB profile (ICC v2, matrix and curves) in which R = G = B = v is `icc`'s grey v; `icc` is kept inside."""
    own = _tag(icc, b"kTRC") if icc[20:24] == b"XYZ " and _tag(icc, b"A2B0") is None else None
    if own is None or own[:4] != b"curv":  # "para" is of version 4 only
        samples = np.rint(np.clip(_luminance(lightness), 0, 1) * 65535).astype(">u2")
        own = b"curv" + bytes(4) + struct.pack(">I", _STEPS) + samples.tobytes()
    text = b"Grey with sRGB primaries, made by Tintype\0"
    tags = [
        (b"desc", b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(12 + 67)),
        (b"cprt", b"text" + bytes(4) + b"No copyright, use freely\0"),
        (b"wtpt", _xyz(_D50)),
        *((name, _xyz(value)) for name, value in _PRIMARIES),
        (b"rTRC", own),
        (_KEPT, b"data" + bytes(4) + icc),
    ]
    return _profile(tags, icc)


def _xyz(value: tuple[int, int, int]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *value)


def _profile(tags: list[tuple[bytes, bytes]], grey: bytes) -> bytes:
    """Header, table and data; green's and blue's curves share red's. The date is the grey profile's, so that the same profile gives the same bytes."""
    entries, data = [], b""
    start = 128 + 4 + 12 * (len(tags) + 2)
    for name, payload in tags:
        entries.append((name, start + len(data), len(payload)))
        if name == b"rTRC":
            entries += [(other, start + len(data), len(payload)) for other in (b"gTRC", b"bTRC")]
        data += payload + bytes(-len(payload) % 4)
    head = bytearray(128)
    struct.pack_into(">I4sI4s4s4s", head, 0, start + len(data), b"\0" * 4, 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head[24:36], head[36:40] = grey[24:36], b"acsp"
    struct.pack_into(">3i", head, 68, *_D50)
    table = struct.pack(">I", len(entries)) + b"".join(struct.pack(">4sII", *entry) for entry in entries)
    return bytes(head) + table + data
