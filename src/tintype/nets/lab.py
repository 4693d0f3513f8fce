"""CIELAB in torch, for networks that think in it: lightness of grey, and what ab means beside a luma. sRGB, D65, 2 degrees."""

from __future__ import annotations

import torch
from torch import Tensor

#: Linear sRGB -> XYZ relative to the D65 white, row by row; and back.
_TO_XYZ = ((0.412453 / 0.950456, 0.357580 / 0.950456, 0.180423 / 0.950456), (0.212671, 0.715160, 0.072169), (0.019334 / 1.088754, 0.119193 / 1.088754, 0.950227 / 1.088754))  # fmt: skip
_TO_RGB = ((3.079934936, -1.537151516, -0.542783419), (-0.921234183, 1.875990001, 0.045244181), (0.052889682, -0.204041338, 1.151151656))  # fmt: skip
#: Below these, sRGB's curve and CIELAB's are straight.
_TOE, _LINEAR_TOE = 0.04045, 0.04045 / 12.92
_EPSILON, _KAPPA = (6 / 29) ** 3, (29 / 3) ** 3


def lightness(luma: Tensor) -> Tensor:
    """L* in [0, 100] of grey pixels with gamma-coded value `luma` in [0, 1], any shape."""
    return 116 * _f(_linear(luma)) - 16


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """Gamma-coded RGB (N, 3, H, W) in [0, 1] -> L*, a*, b* (N, 3, H, W): L* in [0, 100], a* and b* within +-110 or so."""
    x, y, z = (_f(channel) for channel in _mixed(_linear(rgb), _TO_XYZ))
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """L*, a*, b* (N, 3, H, W) -> gamma-coded RGB (N, 3, H, W), clipped to [0, 1] where the colour lies outside sRGB."""
    light, a, b = lab.unbind(1)
    y = (light + 16) / 116
    xyz = torch.stack([_f_inverse(y + a / 500), _f_inverse(y), _f_inverse(y - b / 200)], 1)
    linear = torch.stack(_mixed(xyz, _TO_RGB), 1).clamp(0, 1)
    return torch.where(
        linear <= _LINEAR_TOE, linear * 12.92, 1.055 * linear.clamp_min(_LINEAR_TOE) ** (1 / 2.4) - 0.055
    )


def ab_to_chroma(luma: Tensor, ab: Tensor) -> Tensor:
    """What ab (N, 2, H, W) means beside gamma-coded luma (N, 1, H, W): the chroma (Cb, Cr) (N, 2, H, W) of the colour with the grey's L* and that ab, clipped to sRGB."""
    r, g, b = lab_to_rgb(torch.cat([lightness(luma), ab], 1)).unbind(1)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    return torch.stack([(b - y) / 1.772, (r - y) / 1.402], 1)


def _linear(coded: Tensor) -> Tensor:
    return torch.where(coded <= _TOE, coded / 12.92, ((coded.clamp_min(_TOE) + 0.055) / 1.055) ** 2.4)


def _mixed(planes: Tensor, rows: tuple[tuple[float, ...], ...]) -> list[Tensor]:
    first, second, third = planes.unbind(1)
    return [a * first + b * second + c * third for a, b, c in rows]


def _f(t: Tensor) -> Tensor:
    return torch.where(t > _EPSILON, t.clamp_min(_EPSILON) ** (1 / 3), (_KAPPA * t + 16) / 116)


def _f_inverse(f: Tensor) -> Tensor:
    return torch.where(f > 6 / 29, f.clamp_min(6 / 29) ** 3, (116 * f - 16) / _KAPPA)
