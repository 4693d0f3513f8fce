"""`autoencoder`: a small grey picture goes through a short code and comes out in colour (reference system R1, CIFAR-10).

After the colorization autoencoder of Keras' teaching examples, with its "same" padding, its initial weights and its batch
normalization's constants, so that a training here starts where the reported one did. The studied variants (dropout, batch
normalization) are arguments; weight penalties, losses and optimizers are the training's business.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn


def start_as_keras(net: nn.Module) -> None:
    """Weights of all convolutions and dense layers uniform after Glorot and Bengio (2010), biases zero."""
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class Halve(nn.Module):
    """Convolution k3 s2, "same": (N, `before`, H, W) -> (N, `after`, H/2, W/2), both sides even.

    Output pixel i sees input pixels 2i, 2i + 1, 2i + 2: the one column of padding this takes is on the right (and below).
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.pad, self.conv = nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(before, after, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(self.pad(x))
        return out


class Double(nn.Module):
    """Transposed convolution k3 s2, "same", the adjoint of `Halve`: (N, `before`, H, W) -> (N, `after`, 2H, 2W)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(before, after, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        whole: Tensor = self.conv(x)
        return whole[..., :-1, :-1]  # what lies where Halve has its padding


class Autoencoder(nn.Module):
    """The network. It takes pictures of one size, as the code is a dense layer.

    `output` is "rgb", as reported, or "chroma": the same network but for its last layer, which then proposes only the
    colour beside the given luma. `dropout` is the share of values set to zero in training after every convolution and
    transposed convolution but the last, whose values are the answer; `batch_norm` normalizes the same layers, before
    their ReLU. `code` is the length of the code, `size` the side of the picture in pixels, a multiple of 8; `width`
    multiplies the convolutions' channels (64, 128, 256). Raises ValueError for an unknown output or an impossible size.
    """

    stride = 1
    fixed = True

    def __init__(
        self,
        output: Literal["rgb", "chroma"] = "rgb",
        dropout: float = 0.0,
        batch_norm: bool = False,
        code: int = 256,
        size: int = 32,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        if output not in ("rgb", "chroma"):
            raise ValueError(f"output is {output!r}; the autoencoder gives 'rgb' or 'chroma'")
        if size < 8 or size % 8:
            raise ValueError(f"size is {size}; it must be a multiple of 8")
        self.output: Literal["rgb", "chroma"] = output
        self.multiple = size
        a, b, c = (max(1, round(channels * width)) for channels in (64, 128, 256))
        side = size // 8

        def step(layer: nn.Module, channels: int) -> list[nn.Module]:
            norm = [nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)] if batch_norm else []
            return [layer, *norm, nn.ReLU(inplace=True), *([nn.Dropout(dropout)] if dropout else [])]

        self.encoder = nn.Sequential(
            *step(Halve(1, a), a),
            *step(Halve(a, b), b),
            *step(Halve(b, c), c),
            nn.Flatten(),
            nn.Linear(c * side * side, code),
        )
        self.decoder = nn.Sequential(
            nn.Linear(code, c * side * side),
            nn.Unflatten(1, (c, side, side)),
            *step(Double(c, c), c),
            *step(Double(c, b), b),
            *step(Double(b, a), a),
            nn.ConvTranspose2d(a, 3 if output == "rgb" else 2, 3, padding=1),
        )
        start_as_keras(self)

    def forward(self, luma: Tensor) -> Tensor:
        """Luma (N, 1, size, size) in [0, 1] -> RGB (N, 3, size, size) in [0, 1], or chroma (N, 2, size, size) as (Cb, Cr) in [-0.5, 0.5].

        Raises ValueError for another size.
        """
        if luma.shape[2:] != (self.multiple, self.multiple):
            height, width = luma.shape[2:]
            raise ValueError(
                f"this autoencoder takes {self.multiple}x{self.multiple} pixels, not {height}x{width}: scale the picture"
            )
        raw: Tensor = self.decoder(self.encoder(luma))
        return raw.sigmoid() if self.output == "rgb" else raw.tanh() * 0.5
