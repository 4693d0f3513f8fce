"""Quantized DCT coefficients from and to JPEG files, without loss: the one user of jpeglib.

jpeglib's own functions decode a file three times to read it, keep lists of markers in global variables, leave their
temporary files behind where something fails and print to the standard output. Its compiled library does none of that,
so its two functions for coefficients are called here directly, on NumPy's memory and on clean files (segments.plain).
Coefficients are (rows, columns, 8, 8) int16 blocks in natural, not zigzag, order; tables (8, 8) uint16.
"""

from __future__ import annotations

import ctypes
import tempfile
from functools import cache
from pathlib import Path

import jpeglib
import numpy as np
from numpy.typing import NDArray

from tintype.picture.segments import Frame

Blocks = NDArray[np.int16]
Table = NDArray[np.uint16]

#: The fastest of the libraries in jpeglib.
_VERSION = "turbo210"
_GRAYSCALE, _YCBCR = 1, 3
_OPTIMIZE = 1 << 6


@cache
def _library() -> ctypes.CDLL:
    folder = Path(jpeglib.__file__).parent / "cjpeglib"
    (path,) = (p for p in folder.glob(f"cjpeglib_{_VERSION}.*") if p.suffix in (".so", ".dll", ".pyd"))
    return ctypes.CDLL(str(path))


def grid(frame: Frame, plane: int = 0) -> tuple[int, int]:
    """Blocks (rows, columns) of a plane."""
    most = [max(c.sampling[k] for c in frame.components) for k in (0, 1)]
    rows, columns = (-(-frame.size[k] * frame.components[plane].sampling[k] // (8 * most[k])) for k in (0, 1))
    return rows, columns


def read_luma(data: bytes, frame: Frame) -> tuple[Blocks, Table]:
    """The first plane's blocks and quantization table of a file that is known to decode. Raises ValueError where it doesn't."""
    blocks: Blocks = np.zeros((*grid(frame), 8, 8), np.int16)
    tables, numbers = np.zeros((4, 8, 8), np.uint16), np.zeros(4, np.int16)
    with tempfile.TemporaryDirectory(prefix="tintype-") as folder:
        source = Path(folder) / "source.jpg"
        source.write_bytes(data)
        done = _library().read_jpeg_dct(_name(source), _at(blocks), None, None, None, _at(tables), _at(numbers))
    if not done:
        raise ValueError("its coefficients can't be read")
    return blocks, tables[int(numbers[0])]


def write(
    size: tuple[int, int],
    planes: tuple[Blocks, ...],
    tables: tuple[Table, ...],
    sampling: int = 1,
    optimize: bool = True,
) -> bytes:
    """One plane (grey) or three (YCbCr, chroma reduced by `sampling` = 1 or 2 both ways) -> a sequential JPEG file of `size` (H, W).

    `tables`: luma's, and chroma's. `optimize` makes Huffman tables for these data instead of the usual ones. Raises
    ValueError where libjpeg refuses.
    """
    luma, cb, cr = planes if len(planes) == 3 else (planes[0], None, None)
    count = len(planes)
    factors = [sampling, sampling, 1, 1, 1, 1][: 2 * count] if count == 3 else [1, 1]
    numbers = np.array([0, 1, 1, -1] if count == 3 else [0, -1, -1, -1], np.int16)
    both = np.ascontiguousarray(np.stack([tables[0], tables[-1]]), np.uint16)
    with tempfile.TemporaryDirectory(prefix="tintype-") as folder:
        target = Path(folder) / "target.jpg"
        done = _library().write_jpeg_dct(
            None, _name(target), _at(luma), _at(cb), _at(cr), None,
            _ints(*size), _ints(*(n for p in planes for n in p.shape[:2])), _ints(*factors),
            _YCBCR if count == 3 else _GRAYSCALE, count, _at(both), ctypes.c_short(-1), _at(numbers),
            0, None, None, None, ctypes.c_uint(_OPTIMIZE if optimize else 0), ctypes.c_uint(0xFFFFFFFF),
        )  # fmt: skip
        if not done:
            raise ValueError("libjpeg refuses to write these coefficients")
        return target.read_bytes()


def _name(path: Path) -> bytes:
    return str(path).encode()


def _ints(*values: int) -> ctypes.Array[ctypes.c_int]:
    return (ctypes.c_int * len(values))(*values)


def _at(array: NDArray[np.int16] | NDArray[np.uint16] | None) -> ctypes.c_void_p | None:
    if array is None:
        return None
    assert array.flags.c_contiguous
    return array.ctypes.data_as(ctypes.c_void_p)
