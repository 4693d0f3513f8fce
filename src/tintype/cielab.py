"""CIELAB in numpy, and its numbers: sRGB, D65, 2 degrees (CIE 15, IEC 61966-2-1). `nets.lab` is the same in torch.

Channels lie along the last axis: L* in [0, 100], a* and b* within about +-110. Linear light is 0 for black and 1 for white.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.floating[Any]]

_XYZ = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
#: Linear sRGB -> X, Y, Z relative to the white: each row sums to 1, so that grey has no colour. And back.
TO_XYZ = _XYZ / _XYZ.sum(1, keepdims=True)
TO_RGB = np.linalg.inv(TO_XYZ)
#: Up to these sRGB's curve is straight (a coded value, and the light that it stands for), and CIELAB's.
TOE, LINEAR_TOE, EPSILON = 0.04045, 0.04045 / 12.92, (6 / 29) ** 3
#: How steep CIELAB's is there.
KAPPA = (29 / 3) ** 3
#: Colour classes: the cells of a grid of step 10 over the ab plane that hold colours of sRGB (see methods.ab_classes).
CLASSES = 313


def linear(coded: Float) -> Float:
    """Linear light of gamma-coded values in [0, 1], any shape."""
    return np.where(coded <= TOE, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)


def coded(light: Float) -> Float:
    """Gamma-coded values of linear light in [0, 1], any shape."""
    return np.where(light <= LINEAR_TOE, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def lightness(light: Float) -> Float:
    """L* of the luminance of linear light, any shape."""
    return 116 * _f(light) - 16


def lab_of(rgb: Float) -> Float:
    """L*, a*, b* (..., 3) of linear RGB (..., 3); float32 stays float32."""
    x, y, z = np.moveaxis(_f(rgb @ TO_XYZ.T.astype(rgb.dtype)), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def rgb_of(lab: Float) -> Float:
    """Linear RGB (..., 3) of L*, a*, b* (..., 3); outside [0, 1] where the colour is outside sRGB."""
    y = (lab[..., 0] + 16) / 116
    f = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], -1)
    xyz = np.where(f > 6 / 29, f**3, (116 * f - 16) / KAPPA)
    return xyz @ TO_RGB.T.astype(lab.dtype)


def _f(share: Float) -> Float:
    """CIELAB's curve, of a share of the white's X, Y or Z."""
    return np.where(share > EPSILON, np.cbrt(share), (KAPPA * share + 16) / 116)
