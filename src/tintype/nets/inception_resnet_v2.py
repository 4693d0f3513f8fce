"""Inception-ResNet-v2 (Szegedy, Ioffe, Vanhoucke, Alemi 2016), 1000 ImageNet classes: what a picture shows, for a colorizer to know.

Module names are timm's (`inception_resnet_v2`, older form with `repeat` and `classif`), so that its weights
(`inception_resnet_v2.tf_in1k`, ported from TensorFlow) load as they are: 55,843,464 parameters. Three stages at 1/8, 1/16 and 1/32
repeat one residual block each; in between, and at the start, blocks whose branches are only put side by side.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: A convolution: its outputs, height and width.
Layer = tuple[int, int, int]


class Conv(nn.Module):
    """Convolution, batch normalization, ReLU: (N, before, H, W) -> (N, after, H, W), or smaller without padding."""

    def __init__(self, before: int, layer: Layer, stride: int = 1, padded: bool = True) -> None:
        super().__init__()
        after, height, width = layer
        padding = (height // 2, width // 2) if padded else (0, 0)
        self.conv = nn.Conv2d(before, after, (height, width), stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(after, eps=0.001)  # TensorFlow's, with which the weights were trained

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


def _chain(before: int, *layers: Layer) -> nn.Sequential:
    """Convolutions one after another that keep the size."""
    befores = (before, *(after for after, _, _ in layers[:-1]))
    return nn.Sequential(*(Conv(width, layer) for width, layer in zip(befores, layers, strict=True)))


def _halve(before: int, layer: Layer) -> Conv:
    return Conv(before, layer, stride=2, padded=False)


class Mixed(nn.Module):
    """Branches `branch0`, `branch1` ... over the same input, put side by side: (N, C, H, W) -> (N, sum of their outputs, h, w)."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.names = [f"branch{i}" for i in range(len(branches))]
        for name, branch in zip(self.names, branches, strict=True):
            self.add_module(name, branch)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.get_submodule(name)(x) for name in self.names], 1)


class Residual(Mixed):
    """Branches of together `joined` outputs, brought back to the input's `width` by a 1x1 convolution and added, times `scale`: same shape.

    The scale keeps the sums of many such blocks from growing in training (section 3.3). `last` leaves out the ReLU.
    """

    def __init__(self, *branches: nn.Module, width: int, joined: int, scale: float, last: bool = False) -> None:
        super().__init__(*branches)
        self.conv2d = nn.Conv2d(joined, width, 1)
        self.scale, self.last = scale, last

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.scale * self.conv2d(super().forward(x))
        return x if self.last else F.relu(x)


def _mixed_5b() -> Mixed:
    """192 -> 320 channels."""
    return Mixed(
        Conv(192, (96, 1, 1)),
        _chain(192, (48, 1, 1), (64, 5, 5)),
        _chain(192, (64, 1, 1), (96, 3, 3), (96, 3, 3)),
        nn.Sequential(nn.AvgPool2d(3, 1, 1, count_include_pad=False), Conv(192, (64, 1, 1))),
    )


def _block35() -> Residual:
    return Residual(
        Conv(320, (32, 1, 1)),
        _chain(320, (32, 1, 1), (32, 3, 3)),
        _chain(320, (32, 1, 1), (48, 3, 3), (64, 3, 3)),
        width=320,
        joined=128,
        scale=0.17,
    )


def _mixed_6a() -> Mixed:
    """320 -> 1088 channels at half the size."""
    return Mixed(
        _halve(320, (384, 3, 3)),
        _chain(320, (256, 1, 1), (256, 3, 3)).append(_halve(256, (384, 3, 3))),
        nn.MaxPool2d(3, 2),
    )


def _block17() -> Residual:
    return Residual(
        Conv(1088, (192, 1, 1)),
        _chain(1088, (128, 1, 1), (160, 1, 7), (192, 7, 1)),
        width=1088,
        joined=384,
        scale=0.10,
    )


def _mixed_7a() -> Mixed:
    """1088 -> 2080 channels at half the size."""
    return Mixed(
        _chain(1088, (256, 1, 1)).append(_halve(256, (384, 3, 3))),
        _chain(1088, (256, 1, 1)).append(_halve(256, (288, 3, 3))),
        _chain(1088, (256, 1, 1), (288, 3, 3)).append(_halve(288, (320, 3, 3))),
        nn.MaxPool2d(3, 2),
    )


def _block8(scale: float = 0.20, last: bool = False) -> Residual:
    return Residual(
        Conv(2080, (192, 1, 1)),
        _chain(2080, (192, 1, 1), (224, 1, 3), (256, 3, 1)),
        width=2080,
        joined=448,
        scale=scale,
        last=last,
    )


class InceptionResnetV2(nn.Module):
    """The network, with `classes` outputs."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.conv2d_1a = _halve(3, (32, 3, 3))
        self.conv2d_2a = Conv(32, (32, 3, 3), padded=False)
        self.conv2d_2b = Conv(32, (64, 3, 3))
        self.maxpool_3a = nn.MaxPool2d(3, 2)
        self.conv2d_3b = Conv(64, (80, 1, 1))
        self.conv2d_4a = Conv(80, (192, 3, 3), padded=False)
        self.maxpool_5a = nn.MaxPool2d(3, 2)
        self.mixed_5b = _mixed_5b()
        self.repeat = nn.Sequential(*(_block35() for _ in range(10)))
        self.mixed_6a = _mixed_6a()
        self.repeat_1 = nn.Sequential(*(_block17() for _ in range(20)))
        self.mixed_7a = _mixed_7a()
        self.repeat_2 = nn.Sequential(*(_block8() for _ in range(9)))
        self.block8 = _block8(scale=1.0, last=True)
        self.conv2d_7b = Conv(2080, (1536, 1, 1))
        self.classif = nn.Linear(1536, classes)

    def features(self, rgb: Tensor) -> Tensor:
        """RGB (N, 3, H, W) or grey (N, 1, H, W) in [0, 1], sides from 75 -> features (N, 1536, h, w), 8 x 8 for 299 x 299.

        Grey counts as three equal channels.
        """
        x = rgb.expand(-1, 3, -1, -1) * 2 - 1
        x = self.maxpool_3a(self.conv2d_2b(self.conv2d_2a(self.conv2d_1a(x))))
        x = self.maxpool_5a(self.conv2d_4a(self.conv2d_3b(x)))
        x = self.repeat(self.mixed_5b(x))
        x = self.repeat_1(self.mixed_6a(x))
        x = self.block8(self.repeat_2(self.mixed_7a(x)))
        out: Tensor = self.conv2d_7b(x)
        return out

    def forward(self, rgb: Tensor) -> Tensor:
        """RGB (N, 3, H, W) or grey (N, 1, H, W) in [0, 1], sides from 75 (it was trained with 299) -> class logits (N, classes)."""
        logits: Tensor = self.classif(self.features(rgb).mean((2, 3)))
        return logits
