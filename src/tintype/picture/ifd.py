"""TIFF's directories of tags (TIFF 6.0, section 2; BigTIFF), which EXIF blocks are made of too: read to bytes, written from bytes.

Values stay in the file's byte order and are never interpreted, so what is copied stays what it was.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

#: Bytes of a value of each type.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_CODES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
#: Tags that point to another directory: EXIF, GPS, interoperability.
POINTERS = (34665, 34853, 40965)
#: A directory with more, or one value longer, is taken for broken.
_MOST_TAGS, _MOST_BYTES = 4096, 1 << 26

Read = Callable[[int, int], bytes]


@dataclass(frozen=True)
class Tag:
    """One entry: its type, how many values, their bytes, and where in the file the bytes are."""

    kind: int
    count: int
    data: bytes
    place: int = 0

    def numbers(self, order: str) -> tuple[int, ...]:
        """The values as integers; () for a type that has none."""
        code = _CODES.get(self.kind)
        return struct.unpack(f"{order}{self.count}{code}", self.data) if code else ()


@dataclass(frozen=True)
class Directory:
    """Tags by number, and the directories that POINTERS lead to."""

    tags: Mapping[int, Tag]
    children: Mapping[int, Directory] = field(default_factory=dict)
    #: Whether a child was too broken to read; it is missing in `children`.
    damaged: bool = False
    #: Where in the file the next one's offset stands.
    link: int = 0


@dataclass(frozen=True)
class Header:
    """Byte order ("<" or ">"), whether offsets have 64 bits, and where the first directory is."""

    order: str
    big: bool
    first: int


def header_of(start: bytes) -> Header:
    """The header from the first 16 bytes. Raises ValueError where it is none."""
    order = {b"II": "<", b"MM": ">"}.get(start[:2])
    if order is None or len(start) < 8:
        raise ValueError("no TIFF header")
    (version,) = struct.unpack_from(order + "H", start, 2)
    if version == 42:
        return Header(order, False, *struct.unpack_from(order + "I", start, 4))
    if version == 43 and len(start) >= 16:
        return Header(order, True, *struct.unpack_from(order + "Q", start, 8))
    raise ValueError("no TIFF header")


def directory_at(read: Read, header: Header, at: int, depth: int = 0) -> tuple[Directory, int]:
    """The directory at offset `at` and the offset of the next one, 0 after the last. `read(offset, n)` gives at most n bytes.

    Raises ValueError where it is broken, EOFError where the file ends before it does.
    """
    order, wide = header.order, 8 if header.big else 4
    (count,) = struct.unpack(order + ("Q" if header.big else "H"), _exactly(read, at, 8 if header.big else 2))
    if not 0 < count <= _MOST_TAGS:
        raise ValueError(f"a directory of {count} tags")
    size, start = 4 + 2 * wide, at + (8 if header.big else 2)
    table = _exactly(read, start, count * size)
    tags: dict[int, Tag] = {}
    for k in range(count):
        number, kind, n = struct.unpack_from(order + ("HHQ" if header.big else "HHI"), table, k * size)
        length = n * _SIZES.get(kind, 0)
        if length == 0:
            continue
        if length > _MOST_BYTES:
            raise ValueError(f"tag {number} has {length} bytes")
        inline = k * size + 4 + wide
        place = (
            start + inline
            if length <= wide
            else struct.unpack_from(order + ("Q" if header.big else "I"), table, inline)[0]
        )
        tags.setdefault(number, Tag(kind, n, _exactly(read, place, length), place))
    tail = read(start + count * size, wide)  # some writers leave the last offset out
    next_at = struct.unpack(order + ("Q" if header.big else "I"), tail)[0] if len(tail) == wide else 0
    children, damaged = _children(read, header, tags, depth)
    return Directory(
        {k: v for k, v in tags.items() if k not in POINTERS}, children, damaged, start + count * size
    ), next_at


def _children(read: Read, header: Header, tags: Mapping[int, Tag], depth: int) -> tuple[dict[int, Directory], bool]:
    """The directories that `tags` point to."""
    children, damaged = {}, False
    for number in POINTERS:
        if number in tags and depth < 3:
            try:
                children[number] = directory_at(read, header, tags[number].numbers(header.order)[0], depth + 1)[0]
            except (ValueError, EOFError, IndexError):
                damaged = True
    return children, damaged


def _exactly(read: Read, at: int, n: int) -> bytes:
    data = read(at, n)
    if len(data) < n:
        raise EOFError("the file ends inside a directory")
    return data


def written(directory: Directory, order: str, at: int, big: bool = False, next_at: int = 0) -> bytes:
    """The directory as bytes that must stand at offset `at` (even), with its values and children behind it."""
    wide, word = (8, "Q") if big else (4, "I")
    numbers = sorted([*directory.tags, *directory.children])
    size = 4 + 2 * wide
    table_size = (8 if big else 2) + size * len(numbers) + wide
    table, behind = struct.pack(order + ("Q" if big else "H"), len(numbers)), b""
    start = at + table_size + (table_size & 1)
    for number in numbers:
        if number in directory.children:
            place = start + len(behind)
            behind += written(directory.children[number], order, place, big)
            behind += bytes(len(behind) & 1)
            table += struct.pack(f"{order}HH{word}{word}", number, 4 if not big else 16, 1, place)
            continue
        tag = directory.tags[number]
        table += struct.pack(f"{order}HH{word}", number, tag.kind, tag.count)
        if len(tag.data) <= wide:
            table += tag.data.ljust(wide, b"\0")
        else:
            table += struct.pack(order + word, start + len(behind))
            behind += tag.data + bytes(len(tag.data) & 1)
    table += struct.pack(order + word, next_at)
    return table + bytes(table_size & 1) + behind


def block_of(directory: Directory, order: str) -> bytes:
    """A directory as an EXIF block: a little TIFF without pixels."""
    return (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8) + written(directory, order, 8)


def parse_block(exif: bytes) -> tuple[Directory, str]:
    """The first directory of an EXIF block and its byte order. Raises ValueError where it is broken."""
    data = exif.removeprefix(b"Exif\0\0")
    header = header_of(data[:16])
    try:
        return directory_at(lambda at, n: data[at : at + n], header, header.first)[0], header.order
    except (EOFError, struct.error) as error:
        raise ValueError("it ends too early") from error


def is_sound(exif: bytes) -> bool:
    """Whether an EXIF block can be read to its end."""
    try:
        return not parse_block(exif)[0].damaged
    except ValueError:
        return False


def without_turn(exif: bytes) -> bytes:
    """The block with orientation 1, for pixels that stand upright already; all else stays in its place."""
    try:
        directory, order = parse_block(exif)
    except ValueError:
        return exif
    tag = directory.tags.get(274)
    if tag is None or tag.kind != 3 or tag.count != 1:
        return exif
    place = tag.place + (6 if exif.startswith(b"Exif\0\0") else 0)
    return exif[:place] + struct.pack(order + "H", 1) + exif[place + 2 :]


def number_tag(kind: int, values: Iterable[int], order: str) -> Tag:
    """A tag of integers."""
    listed = list(values)
    return Tag(kind, len(listed), struct.pack(f"{order}{len(listed)}{_CODES[kind]}", *listed))
