"""`plain`: a straight stack of convolutions that classifies each pixel's colour (Zhang, Isola, Efros 2016, `eccv16`).

Eight blocks, no pooling and no shortcuts; context comes from two dilated blocks at 1/8. Module names are the release's
(`model1.0` ...), so that its weights load as they are. 32.23 M parameters in `model1` .. `model8`.

An output pixel sees 349 x 349 input pixels; the 2 x 2 output pixels that the transposed convolution makes of one cell at
1/8 see 357 x 357 together, which is the figure that is usually given (it counts that convolution as a 3x3 at 1/8).
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from tintype.cielab import CLASSES
from tintype.nets.lab import AB_RANGE, lightness


def block(before: int, after: int, layers: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """`layers` 3x3 convolutions, each with ReLU and the last with `stride`, then batch normalization.

    (N, before, H, W) -> (N, after, H / stride, W / stride).
    """
    parts: list[nn.Module] = []
    for i in range(layers):
        step = stride if i == layers - 1 else 1
        parts += [nn.Conv2d(after if i else before, after, 3, step, dilation, dilation), nn.ReLU(inplace=True)]
    return nn.Sequential(*parts, nn.BatchNorm2d(after))


class Plain(nn.Module):
    """The network, with one of two heads: "classes" (what the release has) or "ab" (two channels, for squared error).

    `width` multiplies the channels inside; 1 gives the release's. The "classes" form carries the centres of its classes
    as the release does, as weights of a 1x1 convolution `model_out` that `forward` leaves alone: they belong to the
    trained weights, because their order does. They are zero in a fresh network, whose classes are methods.ab_classes'.
    """

    #: Both sides of the input must be multiples of this.
    multiple = 8
    #: Input pixels per output pixel, along a side.
    stride = 4
    #: Whether pictures of one size alone are taken, `multiple` square.
    fixed = False

    def __init__(self, output: Literal["classes", "ab"] = "classes", width: float = 1.0) -> None:
        """Raises ValueError for an `output` that is neither "classes" nor "ab"."""
        super().__init__()
        if output not in ("classes", "ab"):
            raise ValueError(f'output is {output!r}, but must be "classes" or "ab"')
        self.output = output
        w1, w2, w3, w4 = (round(channels * width) for channels in (64, 128, 256, 512))
        self.model1 = block(1, w1, 2, stride=2)
        self.model2 = block(w1, w2, 2, stride=2)
        self.model3 = block(w2, w3, 3, stride=2)
        self.model4 = block(w3, w4, 3)
        self.model5 = block(w4, w4, 3, dilation=2)
        self.model6 = block(w4, w4, 3, dilation=2)
        self.model7 = block(w4, w4, 3)
        self.model8 = nn.Sequential(
            nn.ConvTranspose2d(w4, w3, 4, 2, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(w3, w3, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(w3, w3, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(w3, CLASSES if output == "classes" else 2, 1),
        )
        self.model_out = _centres() if output == "classes" else None

    def forward(self, luma: Tensor) -> Tensor:
        """Luma (N, 1, H, W) in [0, 1], sides multiples of 8 -> (N, 313, H/4, W/4) class logits or (N, 2, H/4, W/4) ab in CIELAB units."""
        x = (lightness(luma) - 50) / 100
        for part in (self.model1, self.model2, self.model3, self.model4, self.model5, self.model6, self.model7):
            x = part(x)
        out: Tensor = self.model8(x)
        return out if self.output == "classes" else out * AB_RANGE

    def centres(self) -> Tensor:
        """The ab (313, 2) of the classes, in CIELAB units and in the order of the logits. Raises ValueError in the "ab" form."""
        if self.model_out is None:
            raise ValueError('this network predicts ab and has no classes: build it with output="classes"')
        return self.model_out.weight[:, :, 0, 0].T * AB_RANGE


def _centres() -> nn.Conv2d:
    """Class probabilities -> their mean ab / 110, as a 1x1 convolution that training leaves as it is."""
    layer = nn.Conv2d(CLASSES, 2, 1, bias=False).requires_grad_(False)
    nn.init.zeros_(layer.weight)
    return layer
