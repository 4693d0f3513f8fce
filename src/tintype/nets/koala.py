"""`koala` and `koala-fusion`: an encoder and a decoder, without and with a classifier's view of the whole picture (reference systems R5, R6).

After Baldassarre, Gonzalez Morin and Rodes-Guirao, "Deep Koalarization" (2017). The encoder sees a neighbourhood; what the
picture as a whole shows is for an image classifier to say, and every place gets to hear it.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tintype.nets.autoencoder import start_as_keras
from tintype.nets.lab import AB_RANGE, lightness


def _widths(width: float) -> tuple[int, ...]:
    """Channels 16, 32, 64, 128, 256, 512 times `width`."""
    return tuple(max(1, round(channels * width)) for channels in (16, 32, 64, 128, 256, 512))


def _conv(before: int, after: int, stride: int = 1) -> list[nn.Module]:
    """Convolution k3 and ReLU."""
    return [nn.Conv2d(before, after, 3, stride, padding=1), nn.ReLU(inplace=True)]


def _encoder(width: float) -> nn.Sequential:
    """(N, 1, H, W) -> (N, 256, H/8, W/8)."""
    _, _, c64, c128, c256, c512 = _widths(width)
    return nn.Sequential(
        *_conv(1, c64, 2), *_conv(c64, c128),
        *_conv(c128, c128, 2), *_conv(c128, c256),
        *_conv(c256, c256, 2), *_conv(c256, c512), *_conv(c512, c512), *_conv(c512, c256),
    )  # fmt: skip


def _decoder(width: float) -> nn.Sequential:
    """(N, 256, H/8, W/8) -> (N, 2, H, W) in [-1, 1]."""
    c16, c32, c64, c128, c256, _ = _widths(width)
    return nn.Sequential(
        *_conv(c256, c128), nn.Upsample(scale_factor=2.0),
        *_conv(c128, c64), nn.Upsample(scale_factor=2.0),
        *_conv(c64, c32), nn.Upsample(scale_factor=2.0),
        *_conv(c32, c16), nn.Conv2d(c16, 2, 3, padding=1), nn.Tanh(),
    )  # fmt: skip


class Koala(nn.Module):
    """The network. `width` multiplies all channels between input and output."""

    multiple = 8
    stride = 1
    fixed = False
    output: Literal["ab"] = "ab"

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        self.encoder, self.decoder = _encoder(width), _decoder(width)
        start_as_keras(self)

    def forward(self, luma: Tensor) -> Tensor:
        """Luma (N, 1, H, W) in [0, 1], sides multiples of 8 -> CIELAB ab (N, 2, H, W) within +-110."""
        ab: Tensor = self.decoder(self.encoder(lightness(luma) / 50 - 1))
        return ab * AB_RANGE


class Fusion(nn.Module):
    """Says `view` (N, V) at every place of `x` (N, C, H, W) and mixes both with a convolution k1 and ReLU: (N, C, H, W).

    A convolution k1 of the replicated view is the same number everywhere, so it is computed once and added; `mix` is the
    whole convolution over the C + V channels, the places' own first.
    """

    def __init__(self, channels: int, view: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(channels + view, channels, 1)

    def forward(self, x: Tensor, view: Tensor) -> Tensor:
        here, everywhere = self.mix.weight[:, : x.shape[1]], self.mix.weight[:, x.shape[1] :]
        said = F.linear(view, everywhere.flatten(1))[:, :, None, None]
        return torch.relu(F.conv2d(x, here, self.mix.bias) + said)


class KoalaFusion(nn.Module):
    """The network with a view. `view` is the number of the classifier's outputs, which `width` does not touch; else as Koala.

    The report's classifier is Inception-ResNet-v2, frozen, on the grey picture at 299 x 299 as three equal channels. It is
    not part of this network, as its outputs are computed once for a whole training.
    """

    multiple = 8
    stride = 1
    fixed = False
    output: Literal["ab"] = "ab"

    def __init__(self, view: int = 1000, width: float = 1.0) -> None:
        super().__init__()
        self.encoder, self.decoder = _encoder(width), _decoder(width)
        self.fusion = Fusion(_widths(width)[4], view)
        start_as_keras(self)

    def forward(self, luma: Tensor, view: Tensor) -> Tensor:
        """Luma (N, 1, H, W) in [0, 1], sides multiples of 8, and the classifier's outputs before the softmax (N, 1000)
        -> CIELAB ab (N, 2, H, W) within +-110.
        """
        ab: Tensor = self.decoder(self.fusion(self.encoder(lightness(luma) / 50 - 1), view))
        return ab * AB_RANGE
