"""Measures of colour. Pictures are RGB (H, W, 3) uint8, sRGB; ab is CIELAB's, D65, in its usual units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tintype.cielab import lab_of, linear

RGB = NDArray[np.uint8]
Float = NDArray[np.float32]


def lab(rgb: RGB) -> Float:
    """CIELAB (H, W, 3) of sRGB: L in [0, 100], a and b within about +-110 (CIE 15, D65, 2 degrees)."""
    light = linear(np.arange(256) / 255).astype(np.float32)
    return np.asarray(lab_of(light[rgb]), np.float32)


def colourfulness(rgb: RGB) -> float:
    """Hasler and Suesstrunk 2003, equation 11's M: 0 for grey, about 40 for photographs, over 100 for the gaudiest.

    The opponents R - G and (R + G) / 2 - B are signed.
    """
    r, g, b = (rgb[..., k].astype(np.float32) for k in range(3))
    rg, yb = r - g, (r + g) / 2 - b
    return float(np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean()))


def psnr(result: RGB, original: RGB) -> float:
    """Peak signal-to-noise ratio over RGB in dB; higher is better; 99 for equal pictures."""
    error = np.mean((result.astype(np.float32) - original.astype(np.float32)) ** 2)
    return float(10 * np.log10(255**2 / error)) if error > 0 else 99.0


@dataclass
class Totals:
    """Figures over a set of pictures, one `add` at a time."""

    pictures: int = 0
    values: int = 0
    squared: float = 0.0
    psnr_sum: float = 0.0
    colour_sum: float = 0.0

    def add(self, result: RGB, original: RGB) -> None:
        """Count one result (H, W, 3) against its original."""
        error = lab(result)[..., 1:] - lab(original)[..., 1:]
        self.pictures += 1
        self.values += error.size
        self.squared += float(np.sum(error.astype(np.float64) ** 2))
        self.psnr_sum += psnr(result, original)
        self.colour_sum += colourfulness(result)

    @property
    def ab_rmse(self) -> float:
        """Root mean square of the error in a and b over all pixels of all pictures."""
        return float(np.sqrt(self.squared / self.values))

    @property
    def mean_psnr(self) -> float:
        """Mean of the pictures' PSNR."""
        return self.psnr_sum / self.pictures

    @property
    def mean_colourfulness(self) -> float:
        """Mean of the results' colourfulness."""
        return self.colour_sum / self.pictures
