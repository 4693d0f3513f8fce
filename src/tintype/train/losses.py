"""Losses and their colour arithmetic, in torch. Chroma is (Cb, Cr) around 0 as everywhere; ab is CIELAB's."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tintype.nets.lab import rgb_to_lab

#: About the mean square of ab in photographs (two channels' mean), so that grey has a loss near one.
AB_SQUARE = 200.0


def split(rgb: Tensor) -> tuple[Tensor, Tensor]:
    """RGB (N, 3, H, W) in [0, 1] -> luma (N, 1, H, W) in [0, 1] and chroma (N, 2, H, W) in [-0.5, 0.5] (Rec. 601, full range)."""
    r, g, b = rgb.unbind(1)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    return y[:, None], torch.stack([(b - y) / 1.772, (r - y) / 1.402], 1)


def chroma_to_ab(luma: Tensor, chroma: Tensor) -> Tensor:
    """Luma (N, 1, H, W) and chroma (N, 2, H, W) -> CIELAB ab (N, 2, H, W), D65 sRGB. Out-of-gamut colours are followed, not clipped, so that their gradient leads back."""
    y, (cb, cr) = luma[:, 0], chroma.unbind(1)
    return rgb_to_lab(torch.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], 1))[:, 1:]


def mean_loss(mean: Tensor, chroma: Tensor, luma: Tensor) -> Tensor:
    """Squared error of the mean head, in ab (what is judged) with a touch in chroma (never flat); 1 is about a grey picture's."""
    ab = F.mse_loss(chroma_to_ab(luma, mean), chroma_to_ab(luma, chroma)) / AB_SQUARE
    return ab + 0.1 * F.mse_loss(mean, chroma) / 0.0064


def class_lookup(centres: Tensor, bins: int = 256) -> Tensor:
    """The nearest of `centres` (K, 2) for every cell of a `bins` x `bins` grid over chroma: (bins * bins,) int64."""
    axis = (torch.arange(bins, device=centres.device) + 0.5) / bins - 0.5
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).view(-1, 2)
    return torch.cdist(grid, centres).argmin(1)


def class_of(chroma: Tensor, lookup: Tensor) -> Tensor:
    """Class numbers (N, H, W) of chroma (N, 2, H, W), by `class_lookup`'s table."""
    bins = round(lookup.numel() ** 0.5)
    cell = ((chroma + 0.5) * bins).long().clamp(0, bins - 1)
    return lookup[cell[:, 0] * bins + cell[:, 1]]


def colour_gap(told: Tensor, chroma: Tensor) -> Tensor:
    """How far the mean strength of told colours (N, 2, h, w) is from the true ones', over the whole batch: 1 for grey.

    The colourfulness term of DDColor (Kang et al. 2023, equation 6), held against the truth, which it asks for on average, not of each picture.
    """
    own, true = (c.float().square().sum(1).add(1e-6).sqrt().mean() for c in (told, chroma))
    return (own / true - 1).square()


def coloured(luma: Tensor, chroma: Tensor) -> Tensor:
    """Luma (N, 1, H, W) and coarse chroma (N, 2, h, w), enlarged between its places -> RGB (N, 3, H, W) in [0, 1]."""
    cb, cr = F.interpolate(chroma, luma.shape[2:], mode="bilinear", align_corners=False).unbind(1)
    y = luma[:, 0]
    return torch.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], 1).clamp(0, 1)


def lightened(rgb: Tensor, exponent: Tensor) -> Tensor:
    """RGB (N, 3, H, W) in [0, 1], each picture to the power of its `exponent` (N,) in (0, 1]: what is dark shows its colours, the more the lower it is."""
    return rgb.clamp_min(1 / 255) ** exponent.view(-1, 1, 1, 1)  # a root of 0 is infinitely steep
