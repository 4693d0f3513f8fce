"""JPEG's marker segments (ITU-T T.81, annex B): read from the bytes, changed, and put back around coded data."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

SOI, EOI, SOS, DQT, DRI, COM = 0xD8, 0xD9, 0xDA, 0xDB, 0xDD, 0xFE
APP0, APP1, APP2, APP13, APP14 = 0xE0, 0xE1, 0xE2, 0xED, 0xEE
#: Frames: baseline, extended, progressive; the same two with arithmetic coding, which Pillow's libjpeg does not decode; and all.
PROGRESSIVE = 0xC2
HUFFMAN, ARITHMETIC = {0xC0, 0xC1, PROGRESSIVE}, {0xC9, 0xCA}
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_BARE = {0x01, *range(0xD0, 0xD8)}  # markers without a length

EXIF, XMP, ICC = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0"
MPF, JFIF, ADOBE, PHOTOSHOP = b"MPF\0", b"JFIF\0", b"Adobe", b"Photoshop 3.0\0"
#: The longest payload, and the longest piece of a profile in one.
LONGEST = 65533
_ICC_PIECE = LONGEST - len(ICC) - 2


@dataclass(frozen=True)
class Segment:
    """One marker and its payload, without marker and length."""

    marker: int
    payload: bytes

    def is_(self, marker: int, start: bytes) -> bool:
        """Whether it is of that kind."""
        return self.marker == marker and self.payload.startswith(start)

    def coded(self) -> bytes:
        """As in the file."""
        return struct.pack(">BBH", 0xFF, self.marker, len(self.payload) + 2) + self.payload


@dataclass(frozen=True)
class Component:
    """One plane of a frame: its identifier, sampling factors (vertical, horizontal) and quantization table."""

    name: int
    sampling: tuple[int, int]
    table: int


@dataclass(frozen=True)
class Frame:
    """What the frame header says: kind of coding, size (H, W), bits, planes."""

    marker: int
    bits: int
    size: tuple[int, int]
    components: tuple[Component, ...]


@dataclass(frozen=True)
class Header:
    """Everything before the coded data: segments in order, the frame, and where the first scan's marker is."""

    segments: tuple[Segment, ...]
    frame: Frame
    scan: int

    def first(self, marker: int, start: bytes) -> bytes | None:
        """The payload, after `start`, of the first segment of that kind."""
        return next((s.payload[len(start) :] for s in self.segments if s.is_(marker, start)), None)

    @property
    def dpi(self) -> tuple[float, float] | None:
        """JFIF's density in pixels per inch, (x, y)."""
        jfif = self.first(APP0, JFIF)
        if jfif is None or len(jfif) < 7 or jfif[2] not in (1, 2):
            return None
        x, y = struct.unpack_from(">HH", jfif, 3)
        unit = 1.0 if jfif[2] == 1 else 2.54
        return (x * unit, y * unit) if x and y else None

    @property
    def iptc(self) -> bytes | None:
        """IPTC-IIM records: resource 0x0404 of the Photoshop block."""
        block = b"".join(s.payload[len(PHOTOSHOP) :] for s in self.segments if s.is_(APP13, PHOTOSHOP))
        at = 0
        while block[at : at + 4] == b"8BIM" and at + 12 <= len(block):
            name = (block[at + 6] + 2) & ~1  # a Pascal string, padded to an even length
            if at + 10 + name > len(block):
                return None
            (length,) = struct.unpack_from(">I", block, at + 6 + name)
            start = at + 10 + name
            if block[at + 4 : at + 6] == b"\x04\x04":
                return block[start : start + length]
            at = start + length + length % 2
        return None

    @property
    def transform(self) -> int | None:
        """Adobe's colour transform: 0 none (RGB, CMYK), 1 YCbCr, 2 YCCK; None without that marker."""
        adobe = self.first(APP14, ADOBE)
        return adobe[6] if adobe is not None and len(adobe) >= 7 else None


def profile_in(notes: Iterable[Segment]) -> bytes | None:
    """The ICC profile, its pieces joined in the order of their numbers; None where there is none or a piece is missing."""
    pieces = {s.payload[12]: s.payload[12:] for s in notes if s.is_(APP2, ICC) and len(s.payload) > 13}
    complete = sorted(pieces) == [*range(1, len(pieces) + 1)] and all(p[1] == len(pieces) for p in pieces.values())
    return b"".join(pieces[k][2:] for k in sorted(pieces)) if pieces and complete else None


def parse(data: bytes) -> Header:
    """The header of a JPEG file. Raises EOFError where the file ends in it, ValueError where it is broken."""
    if data[:2] != b"\xff\xd8":
        raise ValueError("it doesn't begin like a JPEG")
    segments: list[Segment] = []
    frame, at = None, 2
    while True:
        at = data.find(b"\xff", at)  # decoders step over noise between segments
        if at < 0 or at + 4 > len(data):
            raise EOFError("the file ends in its header")
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker == 0 or marker in _BARE or marker == SOI:
            at += 2
        elif marker == EOI:
            raise ValueError("it holds no picture")
        elif marker == SOS:
            if frame is None:
                raise ValueError("its frame header is missing")
            return Header(tuple(segments), frame, at)
        else:
            (length,) = struct.unpack_from(">H", data, at + 2)
            if length < 2:
                raise ValueError("a marker's length is wrong")
            if at + 2 + length > len(data):
                raise EOFError("the file ends in its header")
            segments.append(Segment(marker, data[at + 4 : at + 2 + length]))
            if marker in FRAMES:
                if frame is not None:
                    raise ValueError("it has two frame headers")
                frame = _frame(segments[-1])
            at += 2 + length


def _frame(segment: Segment) -> Frame:
    p = segment.payload
    if len(p) < 6 or len(p) != 6 + 3 * p[5]:
        raise ValueError("its frame header is wrong")
    height, width = struct.unpack_from(">HH", p, 1)
    parts = (p[k : k + 3] for k in range(6, len(p), 3))
    return Frame(
        segment.marker, p[0], (height, width), tuple(Component(c[0], (c[1] & 15, c[1] >> 4), c[2]) for c in parts)
    )


def plain(data: bytes, header: Header) -> bytes:
    """The file without what only describes it: a decoder can't stumble over it then. JFIF and Adobe say how colours are coded."""
    kept = (s for s in header.segments if not is_note(s) or s.is_(APP0, JFIF) or s.is_(APP14, ADOBE))
    # libjpeg warns of JFIF versions that it doesn't know, and would keep its one warning for that.
    known = (
        Segment(APP0, JFIF + b"\1\1" + s.payload[7:]) if s.is_(APP0, JFIF) and len(s.payload) > 6 else s for s in kept
    )
    return b"\xff\xd8" + b"".join(s.coded() for s in known) + data[header.scan :]


def is_note(segment: Segment) -> bool:
    """Whether a segment describes the picture (application data, comment) rather than codes it."""
    return APP0 <= segment.marker <= 0xEF or segment.marker == COM


def with_xmp(notes: Iterable[Segment], xmp: bytes | None) -> tuple[Segment, ...]:
    """Replace the first XMP packet, in its place; put a new one after JFIF and EXIF; None removes it."""
    out = list(notes)
    at = next((k for k, s in enumerate(out) if s.is_(APP1, XMP)), None)
    if at is not None:
        del out[at]
    if xmp is not None:
        if at is None:
            at = next((k for k, s in enumerate(out) if s.marker not in (APP0, APP1)), len(out))
        out.insert(at, Segment(APP1, XMP + xmp))
    return tuple(out)


def with_icc(notes: Iterable[Segment], icc: bytes | None) -> tuple[Segment, ...]:
    """Replace the profile, at the place of its first piece or at the end; None removes it."""
    out = list(notes)
    at = next((k for k, s in enumerate(out) if s.is_(APP2, ICC)), None)
    out = [s for s in out if not s.is_(APP2, ICC)]
    if icc is not None:
        pieces = [icc[k : k + _ICC_PIECE] for k in range(0, len(icc), _ICC_PIECE)]
        if len(pieces) > 255:
            raise ValueError("the colour profile is too large for a JPEG")
        new = [Segment(APP2, ICC + bytes((k, len(pieces))) + piece) for k, piece in enumerate(pieces, 1)]
        at = len(out) if at is None else at
        out[at:at] = new
    return tuple(out)


def with_transform(notes: Iterable[Segment], transform: int) -> tuple[Segment, ...]:
    """Adobe's marker, where there is one, saying `transform`: a grey file may say 0, which would make YCbCr RGB."""
    return tuple(
        Segment(APP14, s.payload[:11] + bytes((transform,)) + s.payload[12:])
        if s.is_(APP14, ADOBE) and len(s.payload) >= 12
        else s
        for s in notes
    )


def joined(notes: Iterable[Segment], stripes: list[bytes], size: tuple[int, int]) -> bytes:
    """Files of one picture's stripes, from top to bottom, all of one height but the last -> one file of `size` with `notes`.

    Stripes are coded with the same tables, each as one restart interval: coding starts anew at each, so the coded data
    of all follow one another. Raises ValueError where they don't fit together.
    """
    headers = [parse(stripe) for stripe in stripes]
    tables = [s for s in headers[0].segments if not is_note(s) and s.marker not in FRAMES]
    if any([s for s in h.segments if not is_note(s) and s.marker not in FRAMES] != tables for h in headers):
        raise ValueError("stripes with different tables")
    frame = next(s for s in headers[0].segments if s.marker in FRAMES)
    planes = b"".join(
        bytes((k,)) + frame.payload[i + 1 : i + 3] for k, i in enumerate(range(6, len(frame.payload), 3), 1)
    )
    frame = Segment(frame.marker, frame.payload[:1] + struct.pack(">HH", *size) + frame.payload[5:6] + planes)
    out = [b"\xff\xd8", *(s.coded() for s in notes), *(s.coded() for s in tables), frame.coded()]
    if len(stripes) > 1:
        out.append(Segment(DRI, struct.pack(">H", mcus(headers[0].frame))).coded())
    for k, (stripe, header) in enumerate(zip(stripes, headers, strict=True)):
        (length,) = struct.unpack_from(">H", stripe, header.scan + 2)
        data = header.scan + 2 + length
        if k == 0:
            out.append(_scan_header(stripe[header.scan + 4 : data]).coded())
        out.append(stripe[data:-2])
        out.append(bytes((0xFF, 0xD0 + k % 8)) if k + 1 < len(stripes) else b"\xff\xd9")
    return b"".join(out)


def _scan_header(payload: bytes) -> Segment:
    """With planes numbered from 1, as in the frame: files without JFIF's marker are known as YCbCr by that."""
    n = payload[0]
    planes = b"".join(bytes((k + 1, payload[2 + 2 * k])) for k in range(n))
    return Segment(SOS, bytes((n,)) + planes + payload[1 + 2 * n :])


def mcus(frame: Frame) -> int:
    """Number of coded units of an interleaved scan."""
    high, wide = (8 * max(c.sampling[k] for c in frame.components) for k in (0, 1))
    return -(-frame.size[0] // high) * -(-frame.size[1] // wide)
