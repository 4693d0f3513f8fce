"""Tintype's own feature network, for distances between pictures where public weights are not at hand.

A small residual network (blocks after He, Zhang, Ren, Sun 2016), trained by scripts/train_features.py to tell what a
photograph shows and where it comes from. Distances over its features are Tintype's own and compare with no published
figure.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tintype.errors import ModelError

#: Side in pixels of the squares that pictures are squeezed to: a little more than the crops of training, where things look larger.
SIDE = 144
#: Length of a picture's features.
DIMENSION = 512
#: Channels of the stages after the stem; each halves the size.
WIDTHS = (32, 64, 128, 224)
#: Of RGB in [0, 1] over photographs.
_MEAN, _DEVIATION = (0.47, 0.44, 0.40), (0.26, 0.25, 0.27)


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut: (N, before, H, W) -> (N, after, H / stride, W / stride)."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first = _conv(before, after, 3, stride)
        self.second = _conv(after, after, 3)
        same = before == after and stride == 1
        self.shortcut: nn.Module = nn.Identity() if same else _conv(before, after, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


class Features(nn.Module):
    """The network: 2,455,840 parameters, its normalization inside."""

    #: The pictures' statistics (3, 1, 1); constants, not part of the state dict.
    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(_MEAN)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(_DEVIATION)[:, None, None], persistent=False)
        self.stem = nn.Sequential(_conv(3, WIDTHS[0], 3, stride=2), nn.ReLU(inplace=True))
        befores = (WIDTHS[0], *WIDTHS[:-1])
        self.blocks = nn.ModuleList(
            nn.Sequential(Block(before, after, 2), Block(after, after, 1))
            for before, after in zip(befores, WIDTHS, strict=True)
        )
        self.head = nn.Sequential(_conv(WIDTHS[-1], DIMENSION, 1), nn.ReLU(inplace=True))

    def stages(self, rgb: Tensor) -> list[Tensor]:
        """RGB (N, 3, H, W) in [0, 1], sides from 32 -> features of five depths, (N, C, h, w) at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size."""
        stages = [self.stem((rgb - self.mean) / self.deviation)]
        for block in self.blocks:
            stages.append(block(stages[-1]))
        return stages

    def forward(self, rgb: Tensor) -> Tensor:
        """RGB (N, 3, H, W) in [0, 1], sides from 32 (it was trained with 128) -> features (N, 512) averaged over the picture, from 0."""
        features: Tensor = self.head(self.stages(rgb)[-1]).mean((2, 3))
        return features


def _conv(before: int, after: int, size: int, stride: int = 1) -> nn.Sequential:
    """Convolution and batch normalization."""
    return nn.Sequential(
        nn.Conv2d(before, after, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(after),
    )


def load(path: Path) -> Features:
    """The network with the weights of a safetensors file, frozen, for inference. Raises ModelError for a file that holds no such weights."""
    try:
        from safetensors.torch import load_file
    except ImportError:
        raise ModelError("reading features needs safetensors; pip install 'tintype[train]'") from None
    net = Features()
    try:
        net.load_state_dict(load_file(path))
    except Exception as error:  # whatever a damaged file makes of the reader
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        raise ModelError(f"{path}: holds no weights of Tintype's features: {lines[-1]}") from None
    return net.requires_grad_(False).eval()
