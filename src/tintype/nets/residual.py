"""`residual`: colour classification with shortcut connections (reference system R3).

Four blocks, each the sum of a longer path and a shorter one, then batch normalization. Dilated convolutions widen the view
where the picture is down to a quarter; nothing is pooled. An output pixel sees 107 x 107 input pixels: that is what the
reported layers come to (3 + 2 + 2, twice 4 at half the size, 4 more, then seven steps of 8 or 16 at a quarter), though the
report itself prints 117.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from tintype.cielab import CLASSES
from tintype.nets.lab import AB_RANGE, lightness


def _conv(before: int, after: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Convolution k3 and ReLU: (N, `before`, H, W) -> (N, `after`, H/stride, W/stride)."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, padding=dilation, dilation=dilation), nn.ReLU(inplace=True)
    )


class Sum(nn.Module):
    """Batch normalization of `top(x) + bottom(x)`, which have `channels` channels and one size."""

    def __init__(self, top: nn.Module, bottom: nn.Module, channels: int) -> None:
        super().__init__()
        self.top, self.bottom, self.norm = top, bottom, nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(self.top(x) + self.bottom(x))
        return out


class Residual(nn.Module):
    """The network. `output` is "classes" or "ab"; only the last layer differs. `width` multiplies all channels between
    (64, 128, 256, 512). Raises ValueError for an unknown output.
    """

    multiple = 4
    stride = 4
    fixed = False

    def __init__(self, output: Literal["classes", "ab"] = "classes", width: float = 1.0) -> None:
        super().__init__()
        if output not in ("classes", "ab"):
            raise ValueError(f"output is {output!r}; the residual network gives 'classes' or 'ab'")
        self.output: Literal["classes", "ab"] = output
        a, b, c, d = (max(1, round(channels * width)) for channels in (64, 128, 256, 512))
        self.conv0 = _conv(1, a)
        self.block1 = Sum(nn.Sequential(_conv(a, b), _conv(b, c, stride=2)), _conv(a, c, stride=2), c)
        self.block2 = Sum(nn.Sequential(_conv(c, c), _conv(c, c)), nn.Identity(), c)
        self.block3 = Sum(
            nn.Sequential(_conv(c, d, stride=2), _conv(d, d, dilation=2), _conv(d, c, dilation=2)),
            _conv(c, c, stride=2),
            c,
        )
        self.block4 = Sum(nn.Sequential(_conv(c, d, dilation=2), _conv(d, d)), _conv(c, d), d)
        self.last = nn.Sequential(_conv(d, c), _conv(c, d, dilation=2), _conv(d, d), nn.BatchNorm2d(d))
        self.pred = nn.Conv2d(d, CLASSES if output == "classes" else 2, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)

    def forward(self, luma: Tensor) -> Tensor:
        """Luma (N, 1, H, W) in [0, 1], sides multiples of 4 -> class logits (N, 313, H/4, W/4), or CIELAB ab (N, 2, H/4, W/4), unbounded."""
        x = self.conv0((lightness(luma) - 50) / 100)
        x = self.block4(self.block3(self.block2(self.block1(x))))
        raw: Tensor = self.pred(self.last(x))
        return raw if self.output == "classes" else raw * AB_RANGE
