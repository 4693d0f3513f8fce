"""`tint`: Tintype's own network. Grey and hints in; out, at a quarter of the size, a mean chroma and a distribution over chroma classes.

A residual U-Net that stops at 1/4 resolution (the full luma guides the enlargement later, so finer chroma buys little),
with self-attention at 1/32, where a whole photograph is a few dozen tokens and the question is "what is this a picture of",
and at 1/16; and with colour queries, which look for the colours of the whole picture before any place chooses its own.
Two heads share the trunk: regression, because squared error is the surest way to the conditional mean; and classes,
because a mean is pale by nature and one picture has many plausible colourings (Zhang, Isola, Efros 2016, section 2.2).
A third, `vivid`, may choose one of them: it is taught by what the result looks like, not by how far it is from the truth.

Every block adds to what it is given, and begins by adding nothing: so a trained network can be made deeper and goes on from where it was.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Standard deviation of Cb and Cr in photographs, about; keeps the regression head's numbers near one.
CHROMA_SCALE = 0.08


class Residual(nn.Module):
    """Two 3x3 convolutions with batch normalization around an identity: (N, C, H, W) -> the same shape."""

    def __init__(self, width: int) -> None:
        super().__init__()
        last = nn.BatchNorm2d(width)
        nn.init.zeros_(last.weight)  # Goyal et al. 2017, section 5.1
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            last,
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.body(x))


class Attention(nn.Module):
    """Pre-norm self-attention over all positions, then a two-layer MLP: (N, C, H, W) -> the same shape."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = _heads(width)
        self.place = nn.Conv2d(width, width, 3, padding=1, groups=width)  # where a token lies, for any grid size
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = _mlp(width)
        for last in (self.place, self.out):
            _silence(last)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        tokens = (x + self.place(x)).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(self.norm1(tokens)).chunk(3, 2)
        tokens = tokens + self.out(_mixed(q, k, v, self.heads))
        tokens = tokens + self.mlp(self.norm2(tokens))
        out: Tensor = tokens.transpose(1, 2).reshape(n, c, h, w)
        return out


class Look(nn.Module):
    """Queries (N, Q, C) look at a map (N, D, H, W), then at each other: (N, Q, C)."""

    def __init__(self, width: int, seen: int) -> None:
        super().__init__()
        self.heads = _heads(width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.asked, self.told = nn.Linear(width, width), nn.Linear(seen, 2 * width)
        self.taken = nn.Linear(width, width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = _mlp(width)

    def forward(self, queries: Tensor, x: Tensor) -> Tensor:
        k, v = self.told(x.flatten(2).transpose(1, 2)).chunk(2, 2)
        queries = queries + self.taken(_mixed(self.asked(self.norms[0](queries)), k, v, self.heads))
        q, k, v = self.qkv(self.norms[1](queries)).chunk(3, 2)
        queries = queries + self.out(_mixed(q, k, v, self.heads))
        out: Tensor = queries + self.mlp(self.norms[2](queries))
        return out


class Queries(nn.Module):
    """Colour queries (Kang et al. 2023, DDColor, section 3.2): what colours a picture has, asked of its coarse maps, put where features are like them.

    `count` queries begin with the mean of the coarsest map and look at maps of `seen` channels, one after the other, coarse first;
    how alike each is to the features at every place is added to these.
    """

    def __init__(self, count: int, seen: tuple[int, ...], width: int, inner: int = 128) -> None:
        super().__init__()
        self.first, self.whole = nn.Parameter(0.1 * torch.randn(1, count, inner)), nn.Linear(seen[0], inner)
        self.looks = nn.ModuleList(Look(inner, s) for s in seen)
        self.norm, self.pattern = nn.LayerNorm(inner), nn.Linear(inner, width)
        self.add = nn.Conv2d(count, width, 1)
        _silence(self.add)

    def forward(self, maps: list[Tensor], features: Tensor) -> Tensor:
        """Maps (N, seen_i, h_i, w_i) and features (N, width, H, W) -> features of the same shape."""
        queries = self.first + self.whole(maps[0].mean((2, 3)))[:, None]
        for look, x in zip(self.looks, maps, strict=True):
            queries = look(queries, x)
        patterns = self.pattern(self.norm(queries))
        alike = patterns @ features.flatten(2) * features.shape[1] ** -0.5
        added: Tensor = features + self.add(alike.reshape(*alike.shape[:2], *features.shape[2:]))
        return added


def _mixed(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Attention of queries (N, Q, C) over keys and values (N, T, C): (N, Q, C)."""
    q, k, v = (t.reshape(*t.shape[:2], heads, t.shape[2] // heads).transpose(1, 2) for t in (q, k, v))
    # Written out: for a few dozen tokens torch's own is several times slower on a CPU.
    alike = (q * q.shape[3] ** -0.5) @ k.transpose(2, 3)
    mixed: Tensor = alike.softmax(3).to(v.dtype) @ v
    return mixed.transpose(1, 2).flatten(2)


def _heads(width: int) -> int:
    """As many as give each 32 channels, or the next number of heads below that which divides the width."""
    return next(h for h in range(max(1, width // 32), 0, -1) if width % h == 0)


def _mlp(width: int) -> nn.Sequential:
    last = nn.Linear(2 * width, width)
    _silence(last)
    return nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), last)


def _silence(layer: nn.Linear | nn.Conv2d) -> None:
    """Let it answer nothing to begin with."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def _down(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True))


class Vivid(nn.Module):
    """A decoder of its own over the decoder's maps of `widths` channels at 1/16, 1/8 and 1/4, with so many `blocks` at each.

    Maps and mean chroma (N, 2, H/4, W/4), in units of CHROMA_SCALE -> a chroma as it might have been, in the same units: one
    choice for a whole thing asks for more than the features of each place, which know all its choices.
    """

    def __init__(self, widths: tuple[int, int, int], blocks: int) -> None:
        super().__init__()
        self.lifts = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in pairwise(widths))
        self.merges = nn.ModuleList(nn.Sequential(*(Residual(w) for _ in range(blocks))) for w in widths)
        self.join, self.add = nn.Conv2d(2, widths[-1], 1), nn.Conv2d(widths[-1], 2, 1)
        _silence(self.add)

    def forward(self, maps: list[Tensor], mean: Tensor) -> Tensor:
        *coarser, finest = maps
        given = [*coarser, finest + self.join(mean)]
        x = self.merges[0](given[0])
        for k, lift in enumerate(self.lifts, 1):
            x = self.merges[k](given[k] + F.interpolate(lift(x), scale_factor=2.0, mode="nearest"))
        added: Tensor = self.add(x)
        return mean + added


class Tint(nn.Module):
    """The network.

    `widths` are the channels at 1/2, 1/4, 1/8, 1/16 and 1/32; `depths` the residual blocks of the encoder at 1/4 .. 1/32
    and `up_depths` those of the decoder at 1/16, 1/8, 1/4; `attention` the attention blocks at 1/32 and, in the decoder, at 1/16;
    `queries` the colour queries, 0 for none; `hinted` whether it takes hints; `vivid` the residual blocks of the vivid head at each size, 0 for no such head. `centres` is the (K, 2) table of chroma classes (Cb, Cr);
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
        attention: tuple[int, int] = (2, 0),
        queries: int = 0,
        hinted: bool = False,
        vivid: int = 0,
        topics: int = 0,
    ) -> None:
        super().__init__()
        self.register_buffer("centres", centres)
        w2, w4, w8, w16, w32 = widths
        self.hinted = hinted
        self.stem = nn.Sequential(
            nn.Conv2d(4 if hinted else 1, w2, 5, 2, 2, bias=False), nn.BatchNorm2d(w2), nn.ReLU(inplace=True)
        )
        self.downs = nn.ModuleList(_down(a, b) for a, b in ((w2, w4), (w4, w8), (w8, w16), (w16, w32)))
        self.stages = nn.ModuleList(
            nn.Sequential(*(Residual(w) for _ in range(d))) for w, d in zip((w4, w8, w16, w32), depths, strict=True)
        )
        self.context = nn.Sequential(*(Attention(w32) for _ in range(attention[0])))
        self.lifts = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in ((w32, w16), (w16, w8), (w8, w4)))
        self.merges = nn.ModuleList(
            nn.Sequential(*(Residual(w) for _ in range(d))) for w, d in zip((w16, w8, w4), up_depths, strict=True)
        )
        self.context16 = nn.Sequential(*(Attention(w16) for _ in range(attention[1])))
        self.queries = Queries(queries, (w16, w8), w4) if queries else None
        self.mean_head = nn.Sequential(nn.Conv2d(w4, w4, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(w4, 2, 1))
        self.class_head = nn.Sequential(
            nn.Conv2d(w4, 96, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(96, len(centres), 1)
        )
        self.vivid_head = Vivid((w16, w8, w4), vivid) if vivid else None
        self.topic_head = nn.Linear(w32, topics) if topics else None

    def trunk(self, luma: Tensor, hints: Tensor | None = None) -> tuple[list[Tensor], Tensor]:
        """Luma (N, 1, H, W) in [0, 1] and hints (N, 3, H, W) or none -> the decoder's maps at 1/16, 1/8 and 1/4, the last (N, w4, H/4, W/4) for the heads; and the deepest features (N, w32, H/32, W/32)."""
        seen = (luma - 0.45) / 0.25
        if self.hinted:
            seen = torch.cat([seen, torch.zeros_like(luma).expand(-1, 3, -1, -1) if hints is None else hints], 1)
        x = self.stem(seen)
        skips = []
        for down, stage in zip(self.downs, self.stages, strict=True):
            x = stage(down(x))
            skips.append(x)
        x = deepest = self.context(skips.pop())
        maps = list[Tensor]()
        for lift, merge in zip(self.lifts, self.merges, strict=True):
            x = merge(F.interpolate(lift(x), scale_factor=2.0, mode="nearest") + skips.pop())
            if not maps:
                x = self.context16(x)
            maps.append(x)
        if self.queries is not None:
            maps[2] = self.queries(maps[:2], x)
        return maps, deepest

    def forward(self, luma: Tensor, hints: Tensor | None = None) -> tuple[Tensor, ...]:
        """What is in the picture, and what is known of its colours -> mean chroma (N, 2, H/4, W/4) as (Cb, Cr), class logits (N, K, H/4, W/4), and vivid chroma as the mean where there is that head.

        Luma (N, 1, H, W) in [0, 1], sides multiples of 32. Hints (N, 3, H, W): where a colour is known, Cb / CHROMA_SCALE, Cr / CHROMA_SCALE and 1; 0 elsewhere.
        """
        maps, _ = self.trunk(luma, hints)
        mean = self.mean_head(maps[-1])
        told = mean * CHROMA_SCALE, self.class_head(maps[-1])
        return told if self.vivid_head is None else (*told, self.vivid_head(maps, mean) * CHROMA_SCALE)

    def some_logits(self, features: Tensor, dy: int, dx: int) -> Tensor:
        """The class logits of every other row from `dy` and every other column from `dx` (0 or 1), (N, K, H/8, W/8): a quarter of the work."""
        first, act, last = self.class_head
        assert isinstance(first, nn.Conv2d)
        hidden = F.conv2d(F.pad(features, (1, 1, 1, 1))[:, :, dy:, dx:], first.weight, first.bias, stride=2)
        out: Tensor = last(act(hidden))
        return out

    @property
    def asks(self) -> dict[str, int]:
        """The names of what `forward` takes, and their channels."""
        return {"luma": 1, "hints": 3} if self.hinted else {"luma": 1}

    @property
    def answers(self) -> tuple[str, ...]:
        """The names of what `forward` returns."""
        return ("mean", "logits") if self.vivid_head is None else ("mean", "logits", "vivid")
