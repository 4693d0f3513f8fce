"""A critic for `tint`'s vivid head: which of two colourings is a photograph's?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tintype.nets.tint import CHROMA_SCALE


class Critic(nn.Module):
    """Judges a picture by patches of its luma and chroma, and, where a teacher helps, by what that sees in it at every depth.

    A judge that begins with what a classifier knows asks at once whether grass is green, where one that begins with
    nothing asks for years whether colours have edges (Sauer et al. 2021, Projected GANs, section 3). `depths` are the channels of the
    teacher's maps. Spectral normalization keeps its slope, and so what the network can learn from it, bounded (Miyato et al. 2018).
    """

    def __init__(self, depths: Sequence[int] = (), width: int = 64) -> None:
        super().__init__()
        self.patches = nn.Sequential(
            _normed(3, width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            _normed(width, 2 * width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            _normed(2 * width, 4 * width, 3, 1, 1),
            nn.LeakyReLU(0.2),
            _normed(4 * width, 1, 4, 1, 1),
        )
        self.sights = nn.ModuleList(
            nn.Sequential(
                _normed(depth, 2 * width, 1, 1, 0),
                nn.LeakyReLU(0.2),
                _normed(2 * width, 2 * width, 3, 1, 1),
                nn.LeakyReLU(0.2),
                _normed(2 * width, 1, 1, 1, 0),
            )
            for depth in depths
        )

    def forward(self, luma: Tensor, chroma: Tensor, seen: Sequence[Tensor]) -> list[Tensor]:
        """Luma (N, 1, h, w) and chroma (N, 2, h, w), at the output's size, and the teacher's maps of the picture -> maps of numbers (N, 1, h_i, w_i), high for a photograph's."""
        given = torch.cat([(luma - 0.45) / 0.25, chroma / CHROMA_SCALE], 1)
        judged = [(self.patches, given), *zip(self.sights, seen, strict=True)]
        return [judge(each).float() for judge, each in judged]


def fooled(verdicts: Sequence[Tensor]) -> Tensor:
    """What the network is to make small, from the critic's verdicts on what it made."""
    return -torch.stack([v.mean() for v in verdicts]).mean()


def mistaken(real: Sequence[Tensor], made: Sequence[Tensor]) -> Tensor:
    """What the critic is to make small: the hinge loss (Lim and Ye 2017), 2 for one that can't tell."""
    return torch.stack([F.relu(1 - r).mean() + F.relu(1 + m).mean() for r, m in zip(real, made, strict=True)]).mean()


def _normed(before: int, after: int, kernel: int, stride: int, padding: int) -> Any:
    norm: Any = nn.utils.parametrizations.spectral_norm  # torch gives it no types
    return norm(nn.Conv2d(before, after, kernel, stride, padding))
