"""EXIF orientation (Exif 2.32, tag 0x0112): how stored pixels are turned to be seen upright, and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# orientation -> (swap rows and columns first?, then flip rows?, then flip columns?)
_TURNS = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


def upright(stored: NDArray[np.float32], orientation: int) -> NDArray[np.float32]:
    """Stored (h, w, ...) as a person sees it; sides are swapped for orientations 5 to 8."""
    swap, rows, columns = _TURNS.get(orientation, _TURNS[1])
    out = stored.swapaxes(0, 1) if swap else stored
    return np.ascontiguousarray(out[:: -1 if rows else 1, :: -1 if columns else 1])


def stored(upright: NDArray[np.float32], orientation: int) -> NDArray[np.float32]:
    """The inverse of `upright`."""
    swap, rows, columns = _TURNS.get(orientation, _TURNS[1])
    out = upright[:: -1 if rows else 1, :: -1 if columns else 1]
    return np.ascontiguousarray(out.swapaxes(0, 1) if swap else out)
