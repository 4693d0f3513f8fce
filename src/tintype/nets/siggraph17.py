"""`siggraph17`: colour from grey and a user's points (Zhang, Zhu, Isola, Geng, Lin, Yu, Efros 2017,
"Real-Time User-Guided Image Colorization with Learned Deep Priors").

`plain`'s trunk as a U-Net that returns to the input's full size, with the hints as three more input planes. A second
head classifies colour at 1/4; it helped in training and suggests colours. Module names are the release's, so that its
weights load as they are: 34,187,027 parameters.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from tintype.nets.lab import AB_RANGE, lightness
from tintype.nets.plain import block

#: Classes of the second head: the 23 x 23 points of a grid of step 10 over ab in [-110, 110], numbered row by row, a outside.
CLASSES = 529


class Siggraph17(nn.Module):
    """The network. `width` multiplies the channels inside; 1 gives the release's."""

    #: Both sides of the input must be multiples of this.
    multiple = 8
    #: Input pixels per output pixel, along a side.
    stride = 1
    #: Whether pictures of one size alone are taken, `multiple` square.
    fixed = False
    output: Literal["ab"] = "ab"

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        w1, w2, w3, w4 = (round(channels * width) for channels in (64, 128, 256, 512))
        self.model1 = block(4, w1, 2)
        self.model2 = block(w1, w2, 2)
        self.model3 = block(w2, w3, 3)
        self.model4 = block(w3, w4, 3)
        self.model5 = block(w4, w4, 3, dilation=2)
        self.model6 = block(w4, w4, 3, dilation=2)
        self.model7 = block(w4, w4, 3)
        self.model8up, self.model3short8 = _up(w4, w3), _short(w3, w3)
        self.model8 = nn.Sequential(nn.ReLU(inplace=True), *block(w3, w3, 2))
        self.model9up, self.model2short9 = _up(w3, w2), _short(w2, w2)
        self.model9 = nn.Sequential(nn.ReLU(inplace=True), *block(w2, w2, 1))
        self.model10up, self.model1short10 = _up(w2, w2), _short(w1, w2)
        self.model10 = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(w2, w2, 3, padding=1), nn.LeakyReLU(0.2))
        self.model_class = nn.Sequential(nn.Conv2d(w3, CLASSES, 1))
        self.model_out = nn.Sequential(nn.Conv2d(w2, 2, 1), nn.Tanh())

    def forward(self, luma: Tensor, hints: Tensor | None = None) -> Tensor:
        """Luma (N, 1, H, W) in [0, 1], sides multiples of 8, and hints -> ab (N, 2, H, W) in CIELAB units within +-110.

        `hints` (N, 3, H, W): ab in CIELAB units, and a mask that is 1 where the user gave that ab and 0 elsewhere, where
        ab must be 0 too. None: no hints.
        """
        full, half, quarter = self._trunk(luma, hints)
        half = self.model9(self.model9up(quarter) + self.model2short9(half))
        full = self.model10(self.model10up(half) + self.model1short10(full))
        ab: Tensor = self.model_out(full) * AB_RANGE
        return ab

    def class_logits(self, luma: Tensor, hints: Tensor | None = None) -> Tensor:
        """`forward`'s arguments -> logits (N, 529, H/4, W/4); class 23 i + j has the ab (10 i - 110, 10 j - 110)."""
        logits: Tensor = self.model_class(self._trunk(luma, hints)[2])
        return logits

    def _trunk(self, luma: Tensor, hints: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """The features at full size, 1/2 and 1/4 that the heads start from."""
        if hints is None:
            hints = luma.new_zeros(len(luma), 3, *luma.shape[2:])
        # The mask goes in as 0 and 1, not centred on 0: so do the released weights want it.
        x = torch.cat([(lightness(luma) - 50) / 100, hints[:, :2] / AB_RANGE, hints[:, 2:]], 1)
        full = self.model1(x)
        half = self.model2(full[:, :, ::2, ::2])
        quarter = self.model3(half[:, :, ::2, ::2])
        x = self.model4(quarter[:, :, ::2, ::2])
        x = self.model7(self.model6(self.model5(x)))
        return full, half, self.model8(self.model8up(x) + self.model3short8(quarter))


def _up(before: int, after: int) -> nn.Sequential:
    """(N, before, H, W) -> (N, after, 2 H, 2 W). A sequence of one, for the release's names."""
    return nn.Sequential(nn.ConvTranspose2d(before, after, 4, 2, 1))


def _short(before: int, after: int) -> nn.Sequential:
    """(N, before, H, W) -> (N, after, H, W). A sequence of one, for the release's names."""
    return nn.Sequential(nn.Conv2d(before, after, 3, padding=1))
