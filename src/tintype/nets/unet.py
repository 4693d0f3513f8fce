"""`unet-gan`: a U-Net that colours and a discriminator that judges (reference system R7).

After pix2pix (Isola, Zhu, Zhou, Efros 2017, appendix 6.1) and its use for colour by Nazeri, Ng and Ebrahimi (2018): no
batch normalization next to the pictures, weights begin as N(0, 0.02).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from tintype.nets.lab import AB_RANGE, lightness

#: Slope of the leaky ReLU below zero.
LEAK = 0.2


def start_adversarial(net: nn.Module) -> None:
    """Weights of all convolutions and dense layers from N(0, 0.02), biases zero (Radford, Metz, Chintala 2016)."""
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _down(before: int, after: int, norm: bool = True) -> nn.Sequential:
    """Convolution k4 s2, batch normalization if asked for, leaky ReLU: (N, `before`, H, W) -> (N, `after`, H/2, W/2)."""
    middle = [nn.BatchNorm2d(after)] if norm else []
    return nn.Sequential(nn.Conv2d(before, after, 4, 2, 1, bias=not norm), *middle, nn.LeakyReLU(LEAK))


def _up(before: int, after: int) -> nn.Sequential:
    """Transposed convolution k4 s2, batch normalization, ReLU: (N, `before`, H, W) -> (N, `after`, 2H, 2W)."""
    return nn.Sequential(nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU())


class UNet(nn.Module):
    """The generator. `widths` are the channels after each halving, so 256 x 256 comes down to 2 x 2; `width` multiplies them.

    The way up has the same channels in reverse; each step sees the step below it and the way down's picture of its size.
    `output` is "ab", as reported, or "chroma", whose squared error is nearly that of RGB. Raises ValueError for another.
    """

    stride = 1
    fixed = False

    def __init__(
        self,
        widths: tuple[int, ...] = (64, 128, 256, 512, 512, 512, 512),
        width: float = 1.0,
        output: Literal["ab", "chroma"] = "ab",
    ) -> None:
        super().__init__()
        if output not in ("ab", "chroma"):
            raise ValueError(f"output is {output!r}; a U-Net gives 'ab' or 'chroma'")
        self.output: Literal["ab", "chroma"] = output
        self.multiple = 2 ** len(widths)
        channels = [max(1, round(w * width)) for w in widths]
        self.downs = nn.ModuleList(
            _down(before, after, norm=i > 0) for i, (before, after) in enumerate(pairwise([1, *channels]))
        )
        below = [channels[-1], *(2 * w for w in channels[-2:0:-1])]  # from the second step on beside a skip as wide
        self.ups = nn.ModuleList(_up(before, after) for before, after in zip(below, channels[-2::-1], strict=True))
        self.last = nn.ConvTranspose2d(2 * channels[0], 2, 4, 2, 1)
        start_adversarial(self)

    def forward(self, luma: Tensor) -> Tensor:
        """Luma (N, 1, H, W) in [0, 1], sides multiples of `multiple` (128) -> CIELAB ab (N, 2, H, W) within +-110, or chroma within +-0.5.

        In training the smallest map must have more than one value per channel: two pictures, or a side of 256.
        """
        x = lightness(luma) / 50 - 1
        skips = []
        for down in self.downs:
            x = down(x)
            skips.append(x)
        x = skips.pop()
        for up in self.ups:
            x = torch.cat([up(x), skips.pop()], 1)
        raw: Tensor = self.last(x)
        return raw.tanh() * (AB_RANGE if self.output == "ab" else 0.5)


class PatchDiscriminator(nn.Module):
    """The judge: is this the picture's own colour? `widths` are the channels after each halving; `width` multiplies them.

    A last convolution k4 gives a logit per patch of 94 x 94 pixels, 16 apart; their mean is the one output per picture.
    """

    def __init__(self, widths: tuple[int, ...] = (64, 128, 256, 512), width: float = 1.0) -> None:
        super().__init__()
        self.multiple = 2 ** len(widths)
        channels = [max(1, round(w * width)) for w in widths]
        self.downs = nn.Sequential(
            *(_down(before, after, norm=i > 0) for i, (before, after) in enumerate(pairwise([3, *channels])))
        )
        self.last = nn.Sequential(nn.ZeroPad2d((1, 2, 1, 2)), nn.Conv2d(channels[-1], 1, 4))
        start_adversarial(self)

    def forward(self, luma: Tensor, ab: Tensor) -> Tensor:
        """Luma (N, 1, H, W) in [0, 1] and CIELAB ab (N, 2, H, W), sides multiples of 16 -> one logit per picture (N,): positive is "real"."""
        x = torch.cat([lightness(luma) / 50 - 1, ab / AB_RANGE], 1)
        logits: Tensor = self.last(self.downs(x))
        return logits.mean((1, 2, 3))
