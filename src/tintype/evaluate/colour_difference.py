"""CIEDE2000: how different two colours look (CIE 142-2001; Sharma, Wu, Dalal 2005, "The CIEDE2000 Color-Difference Formula")."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.floating[Any]]

#: Above this chroma, to the seventh power, the corrections of nearly grey and of blue colours fade in or out.
_CHROMA_7 = 25.0**7


def ciede2000(first: Float, second: Float) -> Float:
    """Difference (...) of two CIELAB arrays (..., 3): 0 for equal, about 1 just seen side by side, 100 for black and white.

    Equations 2 to 22 of Sharma et al. with k_L = k_C = k_H = 1. Symmetric; float32 stays float32.
    """
    chroma_7 = ((np.hypot(first[..., 1], first[..., 2]) + np.hypot(second[..., 1], second[..., 2])) / 2) ** 7
    stretch = 1.5 - 0.5 * np.sqrt(chroma_7 / (chroma_7 + _CHROMA_7))
    a1, a2 = first[..., 1] * stretch, second[..., 1] * stretch
    c1, c2 = np.hypot(a1, first[..., 2]), np.hypot(a2, second[..., 2])
    h1, h2 = np.arctan2(first[..., 2], a1), np.arctan2(second[..., 2], a2)
    turn = h2 - h1
    turn = turn - 2 * np.pi * np.rint(turn / (2 * np.pi))
    # A grey has no hue: the other's counts.
    hue = np.where(c1 * c2 == 0, h1 + h2, h1 + turn / 2)
    light, chroma = (first[..., 0] + second[..., 0]) / 2, (c1 + c2) / 2
    step_l = (second[..., 0] - first[..., 0]) / (1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2))
    step_c = (c2 - c1) / (1 + 0.045 * chroma)
    step_h = 2 * np.sqrt(c1 * c2) * np.sin(turn / 2) / (1 + 0.015 * chroma * _hue_weight(hue))
    squares = step_l**2 + step_c**2 + step_h**2 + _rotation(chroma, hue) * step_c * step_h
    difference: Float = np.sqrt(np.maximum(squares, 0))
    return difference


def _hue_weight(hue: Float) -> Float:
    """T of equation 15; hue in radians."""
    weight: Float = (
        1
        - 0.17 * np.cos(hue - np.radians(30).item())
        + 0.24 * np.cos(2 * hue)
        + 0.32 * np.cos(3 * hue + np.radians(6).item())
        - 0.20 * np.cos(4 * hue - np.radians(63).item())
    )
    return weight


def _rotation(chroma: Float, hue: Float) -> Float:
    """R_T of equations 16, 17 and 21: differences of chroma and of hue work together in blues. Hue in radians, any turn."""
    chroma_7 = chroma**7
    from_blue = (np.degrees(hue) % 360 - 275) / 25
    angle = np.radians(60 * np.exp(-(from_blue**2)))
    rotation: Float = -2 * np.sqrt(chroma_7 / (chroma_7 + _CHROMA_7)) * np.sin(angle)
    return rotation
