"""What networks put out, kind by kind: the target that they are trained on, and the picture that their answer means.

The kinds: `rgb` (N, 3, H, W) in [0, 1]; `chroma` (N, 2, h, w), (Cb, Cr); `ab` (N, 2, h, w) in CIELAB units; `classes`
(N, 313, h, w), logits over colour classes of the ab plane.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tintype.nets.lab import ab_to_chroma, rgb_to_lab
from tintype.train.ab_classes import decode
from tintype.train.losses import split

Kind = Literal["rgb", "chroma", "ab", "classes"]


def kind_of(net: nn.Module) -> Kind:
    """What a network puts out, by its attribute `output`. Raises TypeError where that says none of the kinds."""
    kind: Any = getattr(net, "output", None)
    if kind not in get_args(Kind):
        raise TypeError(f"{type(net).__name__}.output is {kind!r}; expected {', '.join(get_args(Kind))}")
    known: Kind = kind
    return known


def target(kind: Kind, rgb: Tensor, size: tuple[int, int]) -> Tensor:
    """What a network of that kind is to answer for pictures (N, 3, H, W) in [0, 1], at its own `size` (h, w).

    Colours are averaged down as RGB; ab stays in CIELAB units.
    """
    small = rgb if rgb.shape[2:] == size else F.adaptive_avg_pool2d(rgb, size)
    if kind == "rgb":
        return small
    return split(small)[1] if kind == "chroma" else rgb_to_lab(small)[:, 1:]


def chroma_of(kind: Kind, answer: Tensor, luma: Tensor) -> Tensor:
    """The chroma (N, 2, h, w) that an answer means beside luma (N, 1, H, W), at the answer's own size. Classes are decoded by their annealed mean."""
    if kind == "chroma":
        return answer
    if kind == "rgb":
        return split(answer)[1]
    ab = decode(answer) if kind == "classes" else answer
    return ab_to_chroma(F.adaptive_avg_pool2d(luma, (ab.shape[2], ab.shape[3])), ab)


def picture(chroma: Tensor, luma: Tensor) -> Tensor:
    """Luma (N, 1, H, W) with chroma (N, 2, h, w), enlarged bilinearly: RGB (N, 3, H, W), clipped to [0, 1]."""
    if chroma.shape[2:] != luma.shape[2:]:
        chroma = F.interpolate(chroma, luma.shape[2:], mode="bilinear")
    y, (cb, cr) = luma[:, 0], chroma.unbind(1)
    return torch.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], 1).clamp(0, 1)
