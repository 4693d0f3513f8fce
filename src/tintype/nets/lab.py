"""CIELAB in torch, for networks that think in it: lightness of grey, and what ab means beside a luma. sRGB, D65, 2 degrees."""

from __future__ import annotations

import torch
from torch import Tensor

from tintype.cielab import EPSILON, KAPPA, LINEAR_TOE, TO_RGB, TO_XYZ, TOE

#: Networks that regress colour think in ab divided by this, so that their numbers lie within +-1.
AB_RANGE = 110.0

#: As plain numbers: no tensor on a device, and no matrix product that autocast would do in half precision.
_TO_XYZ, _TO_RGB = TO_XYZ.tolist(), TO_RGB.tolist()


def lightness(luma: Tensor) -> Tensor:
    """L* in [0, 100] of grey pixels with gamma-coded value `luma` in [0, 1], any shape."""
    return 116 * _f(_linear(luma)) - 16


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """Gamma-coded RGB (N, 3, H, W) in [0, 1] -> L*, a*, b* (N, 3, H, W): L* in [0, 100], a* and b* within +-110 or so."""
    x, y, z = (_f(channel) for channel in xyz_of(_linear(rgb)))
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """L*, a*, b* (N, 3, H, W) -> gamma-coded RGB (N, 3, H, W), clipped to [0, 1] where the colour lies outside sRGB."""
    light, a, b = lab.unbind(1)
    y = (light + 16) / 116
    xyz = torch.stack([_f_inverse(y + a / 500), _f_inverse(y), _f_inverse(y - b / 200)], 1)
    linear = torch.stack(_mixed(xyz, _TO_RGB), 1).clamp(0, 1)
    return torch.where(linear <= LINEAR_TOE, linear * 12.92, 1.055 * linear.clamp_min(LINEAR_TOE) ** (1 / 2.4) - 0.055)


def ab_to_chroma(luma: Tensor, ab: Tensor) -> Tensor:
    """What ab (N, 2, H, W) means beside gamma-coded luma (N, 1, H, W): the chroma (Cb, Cr) (N, 2, H, W) of the colour with the grey's L* and that ab, clipped to sRGB."""
    r, g, b = lab_to_rgb(torch.cat([lightness(luma), ab], 1)).unbind(1)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    return torch.stack([(b - y) / 1.772, (r - y) / 1.402], 1)


def xyz_of(linear: Tensor) -> list[Tensor]:
    """X, Y, Z, each (N, H, W) and a share of the white's, of linear RGB (N, 3, H, W)."""
    return _mixed(linear, _TO_XYZ)


def _linear(coded: Tensor) -> Tensor:
    return torch.where(coded <= TOE, coded / 12.92, ((coded.clamp_min(TOE) + 0.055) / 1.055) ** 2.4)


def _mixed(planes: Tensor, rows: list[list[float]]) -> list[Tensor]:
    first, second, third = planes.unbind(1)
    return [a * first + b * second + c * third for a, b, c in rows]


def _f(t: Tensor) -> Tensor:
    return torch.where(t > EPSILON, t.clamp_min(EPSILON) ** (1 / 3), (KAPPA * t + 16) / 116)


def _f_inverse(f: Tensor) -> Tensor:
    return torch.where(f > 6 / 29, f.clamp_min(6 / 29) ** 3, (116 * f - 16) / KAPPA)
