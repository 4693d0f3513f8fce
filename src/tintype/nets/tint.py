"""`tint`: Tintype's own network. Grey in; out, at a quarter of the size, a mean chroma and a distribution over chroma classes.

A residual U-Net that stops at 1/4 resolution (the full luma guides the enlargement later, so finer chroma buys little),
with self-attention at 1/32, where a whole photograph is a few dozen tokens and the question is "what is this a picture of".
Two heads share the trunk: regression, because squared error is the surest way to the conditional mean; and classes,
because a mean is pale by nature and one picture has many plausible colourings (Zhang, Isola, Efros 2016, section 2.2).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

#: Standard deviation of Cb and Cr in photographs, about; keeps the regression head's numbers near one.
CHROMA_SCALE = 0.08


class Residual(nn.Module):
    """Two 3x3 convolutions with batch normalization around an identity: (N, C, H, W) -> the same shape."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.body(x))


class Attention(nn.Module):
    """Pre-norm self-attention over all positions, then a two-layer MLP: (N, C, H, W) -> the same shape."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.place = nn.Conv2d(width, width, 3, padding=1, groups=width)  # where a token lies, for any grid size
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        tokens = (x + self.place(x)).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(self.norm1(tokens)).view(n, h * w, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, h * w, c)
        tokens = tokens + self.out(mixed)
        tokens = tokens + self.mlp(self.norm2(tokens))
        out: Tensor = tokens.transpose(1, 2).reshape(n, c, h, w)
        return out


def _down(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True))


class Tint(nn.Module):
    """The network.

    `widths` are the channels at 1/2, 1/4, 1/8, 1/16 and 1/32; `depths` the residual blocks of the encoder at 1/4 .. 1/32
    and `up_depths` those of the decoder at 1/16, 1/8, 1/4. `centres` is the (K, 2) table of chroma classes (Cb, Cr);
    `topics` the number of picture classes of the auxiliary head that helps in training and is not exported.
    """

    #: Both sides of the input must be multiples of this.
    multiple = 32
    #: Input pixels per output pixel, along a side.
    stride = 4

    def __init__(
        self,
        centres: Tensor,
        widths: tuple[int, ...] = (32, 64, 128, 224, 288),
        depths: tuple[int, ...] = (2, 2, 3, 1),
        up_depths: tuple[int, ...] = (1, 2, 2),
        attention: int = 2,
        topics: int = 0,
    ) -> None:
        super().__init__()
        self.register_buffer("centres", centres)
        w2, w4, w8, w16, w32 = widths
        self.stem = nn.Sequential(nn.Conv2d(1, w2, 5, 2, 2, bias=False), nn.BatchNorm2d(w2), nn.ReLU(inplace=True))
        self.downs = nn.ModuleList(_down(a, b) for a, b in ((w2, w4), (w4, w8), (w8, w16), (w16, w32)))
        self.stages = nn.ModuleList(
            nn.Sequential(*(Residual(w) for _ in range(d))) for w, d in zip((w4, w8, w16, w32), depths, strict=True)
        )
        self.context = nn.Sequential(*(Attention(w32, w32 // 32) for _ in range(attention)))
        self.lifts = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in ((w32, w16), (w16, w8), (w8, w4)))
        self.merges = nn.ModuleList(
            nn.Sequential(*(Residual(w) for _ in range(d))) for w, d in zip((w16, w8, w4), up_depths, strict=True)
        )
        self.mean_head = nn.Sequential(nn.Conv2d(w4, w4, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(w4, 2, 1))
        self.class_head = nn.Sequential(
            nn.Conv2d(w4, 96, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(96, len(centres), 1)
        )
        self.topic_head = nn.Linear(w32, topics) if topics else None

    def trunk(self, luma: Tensor) -> tuple[Tensor, Tensor]:
        """Luma (N, 1, H, W) in [0, 1] -> features (N, w4, H/4, W/4) for the heads, and the deepest ones (N, w32, H/32, W/32)."""
        x = self.stem((luma - 0.45) / 0.25)
        skips = []
        for down, stage in zip(self.downs, self.stages, strict=True):
            x = stage(down(x))
            skips.append(x)
        x = deepest = self.context(skips.pop())
        for lift, merge in zip(self.lifts, self.merges, strict=True):
            x = merge(F.interpolate(lift(x), scale_factor=2.0, mode="nearest") + skips.pop())
        return x, deepest

    def forward(self, luma: Tensor) -> tuple[Tensor, Tensor]:
        """Luma (N, 1, H, W) in [0, 1], sides multiples of 32 -> mean chroma (N, 2, H/4, W/4) as (Cb, Cr) and class logits (N, K, H/4, W/4)."""
        features, _ = self.trunk(luma)
        return self.mean_head(features) * CHROMA_SCALE, self.class_head(features)
