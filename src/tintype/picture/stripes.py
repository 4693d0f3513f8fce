"""New chroma beside coded luma, stripe by stripe, in several threads.

Each stripe of a large picture is one restart interval of the file. Stripes depend on the picture's size only, and each
is coded by itself, so the bytes are the same with any number of threads. Files are sequential even where the input is
progressive: jpeglib's lossless writer has no progressive order.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from tintype.picture import blocks, coefficients, segments
from tintype.picture.coefficients import Blocks, Table
from tintype.picture.dct import Coder
from tintype.picture.picture import Chroma
from tintype.picture.segments import Header, Segment

#: Pixels of a stripe, about.
_STRIPE = 1 << 21


def colored_file(
    data: bytes,
    header: Header,
    decode: Callable[[], NDArray[np.uint8]],
    notes: tuple[Segment, ...],
    chroma: Chroma,
    sampling: int,
) -> bytes:
    """The file `data` (clean: segments.plain) with the same luma, new chroma and `notes`.

    `decode` gives its luma (H, W, 1); chroma is reduced by `sampling` = 1 or 2 both ways. Raises ValueError where the
    coefficients can't be read or written.
    """
    size = header.frame.size
    height = _stripe_rows(size, sampling)
    tops = range(0, size[0], height)
    reading: Future[tuple[Blocks, Table]]
    with ThreadPoolExecutor(max(2, min(8, os.cpu_count() or 2))) as pool:
        reading = pool.submit(coefficients.read_luma, data, header.frame)
        whole = decode()[..., 0]
        table = _luma_table(header)

        def coded(fine: bool) -> tuple[list[tuple[Blocks, Blocks, int]], Table]:
            own = blocks.chroma_table(table, fine)
            coder = Coder(own)

            def stripe(top: int) -> tuple[Blocks, Blocks, int]:
                reach = blocks.reach_of(_padded(whole, top, min(height, size[0] - top), sampling), sampling)
                return blocks.code(reach, chroma.rows(reach.mean, top // sampling, (sampling, sampling)), coder)

            return list(pool.map(stripe, tops)), own

        done, other = coded(fine=False)
        if blocks.too_flat(sum(flat for _, _, flat in done), size, sampling):
            done, other = coded(fine=True)
        luma, own = reading.result()

        def write(k: int) -> bytes:
            rows = min(height, size[0] - tops[k])
            part = luma[tops[k] // 8 : -(-(tops[k] + rows) // 8)]
            return coefficients.write(
                (rows, size[1]), (part, *done[k][:2]), (own, other), sampling, optimize=len(tops) == 1
            )

        try:
            stripes = list(pool.map(write, range(len(tops))))
        except ValueError:  # coefficients that the usual Huffman tables have no codes for
            cb, cr = (np.concatenate([d[k] for d in done]) for k in range(2))
            stripes = [coefficients.write(size, (luma, cb, cr), (own, other), sampling)]
    return segments.joined(notes, stripes, size)


def _stripe_rows(size: tuple[int, int], sampling: int) -> int:
    """Rows of a stripe: whole coded units, about _STRIPE pixels, at most 65535 units (a restart interval's limit)."""
    unit = 8 * sampling
    across = -(-size[1] // unit)
    return unit * max(1, min(65535 // across, round(_STRIPE / (unit * size[1]))))


def _luma_table(header: Header) -> Table:
    """Quantization table of the first plane, in natural order; coarsest where it can't be found."""
    wanted = header.frame.components[0].table
    found = np.full((8, 8), 255, np.uint16)
    for s in (s for s in header.segments if s.marker == segments.DQT):
        at = 0
        while at < len(s.payload):
            wide, name = s.payload[at] >> 4, s.payload[at] & 15
            values = np.frombuffer(s.payload[at + 1 : at + 1 + 64 * (1 + (wide > 0))], ">u2" if wide else "u1")
            if len(values) == 64 and name == wanted:
                found.reshape(64)[_zigzag()] = values
            at += 65 + 64 * (wide > 0)
    return np.maximum(found, 1)


def _zigzag() -> NDArray[np.int64]:
    """Places, in natural order, of the 64 coefficients in the order of the file."""
    order = sorted(range(64), key=lambda k: (k // 8 + k % 8, k // 8 if (k // 8 + k % 8) % 2 else k % 8))
    return np.array(order)


def _padded(whole: NDArray[np.uint8], top: int, rows: int, sampling: int) -> NDArray[np.uint8]:
    """Rows of luma with one more pixel on each side, repeated at the picture's borders; rows and columns are filled up to `sampling`."""
    height, width = whole.shape
    first, last = max(0, top - 1), min(height, top + rows + 1)
    inner = whole[first:last]
    n, w = -(-rows // sampling) * sampling + 2, -(-width // sampling) * sampling + 2
    out = np.empty((n, w), np.uint8)
    at = 1 - (top - first)
    end = min(n, at + len(inner))
    out[at:end, 1 : width + 1] = inner[: end - at]
    out[:, 0], out[:, width + 1 :] = out[:, 1], out[:, width : width + 1]
    out[:at], out[end:] = out[at : at + 1], out[end - 1 : end]
    return out
