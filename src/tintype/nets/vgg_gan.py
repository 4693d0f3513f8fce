"""`vgg-gan`: generator and discriminator on the features of a frozen VGG16 (reference system R8).

The feature network is an argument, so that this file knows nothing of VGG16 but its shapes: any module that takes RGB
(N, 3, H, W) in [0, 1] and gives (N, channels, H/reduction, W/reduction) will do, as `Vgg16Features(3)`, which has 256 channels
and reduction 8, or `Vgg16Features()`, with 512 and 32. It is frozen here: its weights get no gradient and it stays in
evaluation mode. Only where no weights for it are at hand it is to be `trained` along with the rest.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tintype.nets.lab import AB_RANGE, lab_to_rgb, lightness
from tintype.nets.unet import LEAK, start_adversarial


def edges(luma: Tensor) -> Tensor:
    """How steep luma (N, 1, H, W) in [0, 1] is at each pixel: Sobel's gradient, its length over 4, cut to [0, 1]; same shape.

    A step from black to white along a row or column has 1, a flat place about 0, whatever its grey.
    """
    across = luma.new_tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 4
    kernels = torch.stack([across, across.T])[:, None]
    slopes = F.conv2d(F.pad(luma, (1, 1, 1, 1), mode="replicate"), kernels)
    squared = slopes.square().sum(1, keepdim=True)
    return (squared + 1e-12).sqrt().clamp(max=1)  # the root of zero would have no gradient


class Frozen(nn.Module):
    """`backbone` as it is. Training changes nothing in it; a gradient goes through it to the picture."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, rgb: Tensor) -> Tensor:
        """RGB (N, 3, H, W) in [0, 1] -> features (N, C, H/reduction, W/reduction)."""
        out: Tensor = self.backbone(rgb)
        return out


def _pair(before: int, after: int) -> nn.Sequential:
    """Convolution k3, batch normalization, leaky ReLU, twice: (N, `before`, H, W) -> (N, `after`, H, W)."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(LEAK),
        nn.Conv2d(after, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(LEAK),
    )  # fmt: skip


class VGGGenerator(nn.Module):
    """The generator. `backbone` gives `channels` channels at 1/`reduction` of the size, a power of two.

    The network sees the grey picture or, with `edges`, only where it changes. `widths` are the channels of the contracting
    path, with a 2 x 2 max pooling between them; the expanding path mirrors it, with skips, and goes on, halving the channels at each
    doubling (not below 16), until it has the input's size. `width` multiplies all of them.
    `trained`: the backbone learns, too. Raises ValueError for a reduction that is no power of two.
    """

    stride = 1
    fixed = False
    output: Literal["ab"] = "ab"

    def __init__(
        self,
        backbone: nn.Module,
        channels: int,
        reduction: int,
        edges: bool = False,
        widths: tuple[int, ...] = (256, 512, 512),
        width: float = 1.0,
        trained: bool = False,
    ) -> None:
        super().__init__()
        doublings = reduction.bit_length() - 1
        if reduction < 1 or reduction != 2**doublings:
            raise ValueError(f"reduction is {reduction}; it must be a power of two")
        self.edges = edges
        self.multiple = reduction * 2 ** (len(widths) - 1)
        down = [max(1, round(w * width)) for w in widths]
        tail = [max(1, round(max(16, widths[0] // 2**i) * width)) for i in range(1, doublings + 1)]
        self.features = backbone if trained else Frozen(backbone)
        self.downs = nn.ModuleList(_pair(a, b) for a, b in pairwise([channels, *down]))
        self.ups = nn.ModuleList(_pair(a + b, b) for a, b in zip(down[:0:-1], down[-2::-1], strict=True))
        self.tail = nn.Sequential(
            *(nn.Sequential(nn.Upsample(scale_factor=2.0), _pair(a, b)) for a, b in pairwise([down[0], *tail]))
        )
        self.last = nn.Conv2d([down[0], *tail][-1], 2, 3, padding=1)
        for own in (self.downs, self.ups, self.tail, self.last):
            start_adversarial(own)

    def forward(self, luma: Tensor) -> Tensor:
        """Luma (N, 1, H, W) in [0, 1], sides multiples of `multiple` -> CIELAB ab (N, 2, H, W) within +-110."""
        x = self.features((edges(luma) if self.edges else luma).expand(-1, 3, -1, -1))
        skips: list[Tensor] = []
        for i, down in enumerate(self.downs):
            x = down(F.max_pool2d(x, 2) if i else x)
            skips.append(x)
        x = skips.pop()
        for up in self.ups:
            x = up(torch.cat([F.interpolate(x, scale_factor=2.0), skips.pop()], 1))
        raw: Tensor = self.last(self.tail(x))
        return raw.tanh() * AB_RANGE


class VGGDiscriminator(nn.Module):
    """The judge: is this a photograph's own colour? It takes pictures of one size, as its head is dense.

    `backbone` gives `channels` channels at 1/`reduction` of the size. `size` is the side of the picture in pixels, a multiple of
    twice the reduction; `dense` the lengths of the dense layers, which `width` multiplies; `dropout` the share of their values set to zero in
    training; `trained` says that the backbone learns, too. Raises ValueError for an impossible size.
    """

    def __init__(
        self,
        backbone: nn.Module,
        channels: int = 512,
        reduction: int = 32,
        size: int = 256,
        dense: tuple[int, ...] = (512, 256),
        dropout: float = 0.5,
        width: float = 1.0,
        trained: bool = False,
    ) -> None:
        super().__init__()
        if size < 1 or size % (2 * reduction):
            raise ValueError(f"size is {size}; it must be a multiple of {2 * reduction}, twice the reduction")
        self.multiple, self.fixed = size, True
        self.features = backbone if trained else Frozen(backbone)
        lengths = [channels * (size // reduction // 2) ** 2, *(max(1, round(d * width)) for d in dense)]
        blocks: list[nn.Module] = []
        for before, after in pairwise(lengths):
            blocks += [
                nn.Linear(before, after, bias=False),
                nn.BatchNorm1d(after),
                nn.LeakyReLU(LEAK),
                nn.Dropout(dropout),
            ]
        self.head = nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), *blocks, nn.Linear(lengths[-1], 1))
        start_adversarial(self.head)

    def forward(self, luma: Tensor, ab: Tensor) -> Tensor:
        """Luma (N, 1, size, size) in [0, 1] and CIELAB ab (N, 2, size, size) -> one logit per picture (N,): positive is "real".

        The backbone sees the colours clipped to sRGB: what lies outside has no say and gets no gradient from here.
        Raises ValueError for another size.
        """
        if luma.shape[2:] != (self.multiple, self.multiple):
            height, width = luma.shape[2:]
            raise ValueError(
                f"this discriminator takes {self.multiple}x{self.multiple} pixels, not {height}x{width}: give it another size"
            )
        rgb = lab_to_rgb(torch.cat([lightness(luma), ab], 1))
        logits: Tensor = self.head(self.features(rgb))
        return logits[:, 0]
