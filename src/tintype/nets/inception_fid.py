"""FID's Inception v3 (Szegedy, Vanhoucke, Ioffe, Shlens, Wojna 2016), 1008 classes: the network whose features FID compares.

Heusel et al. 2017 took TensorFlow's file of 2015-12-05, which differs from later ones in three poolings; module names are
torchvision's, so that pytorch-fid's copy of those weights loads as it is: 23,850,960 parameters.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tintype.nets.inception_resnet_v2 import Conv, Layer

#: Side in pixels that pictures are resized to, and length of their features.
SIDE, DIMENSION = 299, 2048


class Mixed(nn.Module):
    """Chains of convolutions and a pool over the same input, put side by side: (N, C, H, W) -> (N, sum of their outputs, h, w).

    A chain of one layer has the chain's name, those of a longer one NAME_1, NAME_2 ...; `stride` is that of each chain's last
    layer. The pool comes last, through a 1x1 convolution to `pooled` channels where that is not 0.
    """

    def __init__(
        self, before: int, chains: Mapping[str, tuple[Layer, ...]], pool: nn.Module, pooled: int = 0, stride: int = 1
    ) -> None:
        super().__init__()
        self.chains: list[list[str]] = []
        for chain, layers in chains.items():
            names, width = [], before
            for number, layer in enumerate(layers, 1):
                name = chain if len(layers) == 1 else f"{chain}_{number}"
                ends = number == len(layers) and stride > 1
                self.add_module(name, Conv(width, layer, stride if ends else 1, padded=not ends))
                names.append(name)
                width = layer[0]
            self.chains.append(names)
        self.pool = pool
        self.branch_pool: nn.Module = Conv(before, (pooled, 1, 1)) if pooled else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        parts = []
        for names in self.chains:
            y = x
            for name in names:
                y = self.get_submodule(name)(y)
            parts.append(y)
        return torch.cat([*parts, self.branch_pool(self.pool(x))], 1)


class Forked(nn.Module):
    """The block of the smallest maps: two of its chains end in a 1x3 and a 3x1 convolution side by side. (N, before, 8, 8) -> (N, 2048, 8, 8)."""

    def __init__(self, before: int, pool: nn.Module) -> None:
        super().__init__()
        self.branch1x1 = Conv(before, (320, 1, 1))
        self.branch3x3_1 = Conv(before, (384, 1, 1))
        self.branch3x3_2a = Conv(384, (384, 1, 3))
        self.branch3x3_2b = Conv(384, (384, 3, 1))
        self.branch3x3dbl_1 = Conv(before, (448, 1, 1))
        self.branch3x3dbl_2 = Conv(448, (384, 3, 3))
        self.branch3x3dbl_3a = Conv(384, (384, 1, 3))
        self.branch3x3dbl_3b = Conv(384, (384, 3, 1))
        self.pool = pool
        self.branch_pool = Conv(before, (192, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        short, long = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        parts = [self.branch1x1(x), self.branch3x3_2a(short), self.branch3x3_2b(short)]
        parts += [self.branch3x3dbl_3a(long), self.branch3x3dbl_3b(long), self.branch_pool(self.pool(x))]
        return torch.cat(parts, 1)


def _mean() -> nn.AvgPool2d:
    """3x3 means that leave the border's padding out, as TensorFlow's do and torchvision's don't."""
    return nn.AvgPool2d(3, 1, 1, count_include_pad=False)


def _mixed_5(before: int, pooled: int) -> Mixed:
    """To 224 channels and the pooled ones."""
    chains: dict[str, tuple[Layer, ...]] = {
        "branch1x1": ((64, 1, 1),),
        "branch5x5": ((48, 1, 1), (64, 5, 5)),
        "branch3x3dbl": ((64, 1, 1), (96, 3, 3), (96, 3, 3)),
    }
    return Mixed(before, chains, _mean(), pooled)


def _mixed_6a() -> Mixed:
    """288 -> 768 channels at half the size."""
    chains: dict[str, tuple[Layer, ...]] = {
        "branch3x3": ((384, 3, 3),),
        "branch3x3dbl": ((64, 1, 1), (96, 3, 3), (96, 3, 3)),
    }
    return Mixed(288, chains, nn.MaxPool2d(3, 2), stride=2)


def _mixed_6(width: int) -> Mixed:
    """768 -> 768 channels, in between `width`."""
    chains: dict[str, tuple[Layer, ...]] = {
        "branch1x1": ((192, 1, 1),),
        "branch7x7": ((width, 1, 1), (width, 1, 7), (192, 7, 1)),
        "branch7x7dbl": ((width, 1, 1), (width, 7, 1), (width, 1, 7), (width, 7, 1), (192, 1, 7)),
    }
    return Mixed(768, chains, _mean(), 192)


def _mixed_7a() -> Mixed:
    """768 -> 1280 channels at half the size."""
    chains: dict[str, tuple[Layer, ...]] = {
        "branch3x3": ((192, 1, 1), (320, 3, 3)),
        "branch7x7x3": ((192, 1, 1), (192, 1, 7), (192, 7, 1), (192, 3, 3)),
    }
    return Mixed(768, chains, nn.MaxPool2d(3, 2), stride=2)


class InceptionFid(nn.Module):
    """The network."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Conv(3, (32, 3, 3), 2, padded=False)
        self.Conv2d_2a_3x3 = Conv(32, (32, 3, 3), padded=False)
        self.Conv2d_2b_3x3 = Conv(32, (64, 3, 3))
        self.Conv2d_3b_1x1 = Conv(64, (80, 1, 1))
        self.Conv2d_4a_3x3 = Conv(80, (192, 3, 3), padded=False)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = _mixed_5(192, 32), _mixed_5(256, 64), _mixed_5(288, 64)
        self.Mixed_6a = _mixed_6a()
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = map(_mixed_6, (128, 160, 160, 192))
        self.Mixed_7a = _mixed_7a()
        self.Mixed_7b = Forked(1280, _mean())
        # A maximum here, whatever the paper says: so it is in TensorFlow's file.
        self.Mixed_7c = Forked(2048, nn.MaxPool2d(3, 1, 1))
        self.fc = nn.Linear(DIMENSION, 1008)

    def features(self, rgb: Tensor) -> Tensor:
        """RGB (N, 3, H, W) in [0, 1], any size, resized bilinearly to 299 x 299 -> features (N, 2048) averaged over the picture, from 0."""
        x = F.interpolate(rgb, (SIDE, SIDE), mode="bilinear", align_corners=False) * 2 - 1
        x = F.max_pool2d(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))), 3, 2)
        x = F.max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)), 3, 2)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        features: Tensor = x.mean((2, 3))
        return features

    def forward(self, rgb: Tensor) -> Tensor:
        """RGB (N, 3, H, W) in [0, 1] -> class logits (N, 1008)."""
        logits: Tensor = self.fc(self.features(rgb))
        return logits
