"""The boxes that JPEG 2000 and HEIF files are made of (ISO 15444-1 annex I, ISO 14496-12)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

#: A box that is read whole (metadata, headers) may have this many bytes.
MOST_BYTES = 1 << 26


def boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Boxes between two offsets: (type, where the payload starts, where it ends). Raises EOFError for one that goes on beyond `end`."""
    while start + 8 <= end:
        file.seek(start)
        head = file.read(16)
        length, kind = struct.unpack_from(">I4s", head)
        skip = 8
        if length == 1 and len(head) == 16:
            length, skip = struct.unpack_from(">Q", head, 8)[0], 16
        elif length == 0:
            length = end - start
        if length < skip:
            raise ValueError("a box that is shorter than its head")
        if start + length > end:
            raise EOFError("a box goes on beyond the end")
        yield kind, start + skip, start + length
        start += length


def payload(file: BinaryIO, start: int, end: int) -> bytes:
    """A box's content. Raises ValueError where it is too long."""
    if end - start > MOST_BYTES:
        raise ValueError("a block of metadata of more than 64 MiB")
    file.seek(start)
    return file.read(end - start)


def box(kind: bytes, content: bytes) -> bytes:
    """A box with its head."""
    return struct.pack(">I4s", 8 + len(content), kind) + content
