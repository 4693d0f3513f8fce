"""The discrete cosine transform of JPEG's blocks, with quantization, as matrix products."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tintype.picture.coefficients import Table

Float = NDArray[np.float32]


class Coder:
    """Forward and backward DCT with one quantization table: 64 x 64 matrices that contain the table."""

    def __init__(self, table: Table) -> None:
        k = np.arange(8)
        cosines = np.sqrt(np.where(k == 0, 1, 2) / 8)[:, None] * np.cos((2 * k[None] + 1) * k[:, None] * np.pi / 16)
        both, steps = np.kron(cosines, cosines), table.reshape(64, 1).astype(np.float64)
        self.forward: Float = (255 * both / steps).T.astype(np.float32)
        self.backward: Float = (both * steps).astype(np.float32)
        # The most that a coefficient of one step adds to any sample: a block whose sum of those is small can't clip.
        self.most: Float = np.repeat(np.abs(both * steps).max(1)[:, None], 8, 1).astype(np.float32)

    def quantize(self, samples: Float) -> Float:
        """Samples (N, 64) in [-0.5, 0.5] -> quantized coefficients (N, 64), still as floats."""
        coded = product(samples, self.forward)
        return np.rint(coded, out=coded)

    def decode(self, coded: Float) -> Float:
        """Coefficients (..., 64) -> samples in levels, as a decoder rounds them."""
        samples = product(coded, self.backward)
        samples += np.float32(0.5)  # halves go up; rint's go to the even number
        return np.floor(samples, out=samples)


def product(rows: Float, matrix: Float) -> Float:
    """`rows` (..., k) @ `matrix` (k, n), in pieces too small for the BLAS library to start threads of its own: there are enough already."""
    flat = rows.reshape(-1, len(matrix))
    whole = len(flat) // 32 * 32
    out = np.empty((len(flat), matrix.shape[1]), np.float32)
    np.matmul(flat[:whole].reshape(-1, 32, len(matrix)), matrix, out=out[:whole].reshape(-1, 32, matrix.shape[1]))
    np.matmul(flat[whole:], matrix, out=out[whole:])
    return out.reshape(*rows.shape[:-1], matrix.shape[1])
