"""What a JPEG file says beside its pixels: markers made of other formats' metadata, the profile, the statement on computed colour."""

from __future__ import annotations

import struct
from pathlib import Path

from tintype.errors import SaveError
from tintype.picture import profiles, segments
from tintype.picture.metadata import stamp, unstamp
from tintype.picture.picture import ColoredPicture, Metadata
from tintype.picture.segments import Segment

Notes = tuple[Segment, ...]

_LONGEST_XMP = segments.LONGEST - len(segments.XMP)


def notes_of(metadata: Metadata, path: Path) -> Notes:
    """Metadata of another format as JPEG's markers. Raises SaveError where they don't fit."""
    x, y = (min(65535, max(1, round(d))) for d in metadata.dpi or (1, 1))
    out = [Segment(segments.APP0, segments.JFIF + struct.pack(">BBBHHBB", 1, 1, metadata.dpi is not None, x, y, 0, 0))]
    if metadata.exif is not None:
        out.append(Segment(segments.APP1, segments.EXIF + metadata.exif))
    if metadata.iptc is not None:
        resource = (
            b"8BIM\x04\x04\0\0" + struct.pack(">I", len(metadata.iptc)) + metadata.iptc + bytes(len(metadata.iptc) % 2)
        )
        out.append(Segment(segments.APP13, segments.PHOTOSHOP + resource))
    if metadata.xmp is not None:
        out.insert(2 if metadata.exif is not None else 1, Segment(segments.APP1, segments.XMP + metadata.xmp))
    if any(len(s.payload) > segments.LONGEST for s in out):
        raise SaveError(
            path, "can't hold metadata of more than 64 kB, which this picture has", "save it as TIFF or PNG"
        )
    return with_profile(tuple(out), metadata.icc, path)


def with_profile(notes: Notes, icc: bytes | None, path: Path) -> Notes:
    """With `icc` as the profile; one that is broken, so that it counts as none, stays where it is. Raises SaveError (`path`) for a huge one."""
    if icc == segments.profile_in(notes):
        return notes
    try:
        return segments.with_icc(notes, icc)
    except ValueError as error:
        raise SaveError(path, f"can't be a JPEG: {error}", "save it as TIFF") from error


def with_grey_profile(notes: Notes, path: Path) -> Notes:
    """With the grey profile back that was made an RGB profile when colour was added."""
    grey = profiles.original_grey(segments.profile_in(notes))
    return notes if grey is None else with_profile(notes, grey, path)


def with_provenance(notes: Notes, colored: ColoredPicture) -> Notes:
    """The statement that the colour is computed, in the XMP packet; in a comment where the packet would exceed its 64 kB."""
    page = colored.picture.pages[0]
    old = next((s.payload[len(segments.XMP) :] for s in notes if s.is_(segments.APP1, segments.XMP)), None)
    xmp = stamp(old, colored.method, colored.sha256, dict(page.stored), _LONGEST_XMP)
    if len(xmp) <= _LONGEST_XMP:
        return segments.with_xmp(notes, xmp)
    return (*notes, Segment(segments.COM, stamp(None, colored.method, colored.sha256, dict(page.stored))))


def without_provenance(notes: Notes) -> Notes:
    """The inverse, however often the picture was coloured."""
    stored: dict[str, str] = {}
    packets = [s.payload for s in notes if s.marker == segments.COM and unstamp(s.payload)[0] is None]
    notes = tuple(s for s in notes if not (s.marker == segments.COM and s.payload in packets))
    for packet in packets:
        stored |= unstamp(packet)[1]
    xmp = next((s.payload[len(segments.XMP) :] for s in notes if s.is_(segments.APP1, segments.XMP)), None)
    before = xmp
    while xmp is not None:
        inner, found = unstamp(xmp)
        stored |= found
        if inner == xmp:
            break
        xmp = inner
    notes = notes if xmp == before else segments.with_xmp(notes, xmp)
    transform = stored.get("adobe", "")
    return segments.with_transform(notes, int(transform)) if transform in ("0", "2") else notes
