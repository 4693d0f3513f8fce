"""Crops of training pictures, and what time does to prints.

Crop number i of an epoch depends on the seed, the epoch and i alone. So a run that was killed and goes on sees the very
crops that it would have seen, with any number of workers and processes.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from tintype.errors import UsageError
from tintype.train.cache import Pack

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)

#: Crops are resized by one of these, drawn anew: photographs come more or less sharp.
SHARPNESS = (Image.Resampling.BILINEAR, Image.Resampling.HAMMING, Image.Resampling.BICUBIC)

#: Numbers of a pack's pictures, (K,).
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Cut:
    """How crops of `size` x `size` pixels are drawn from pictures.

    Each shows a share in `area` of its picture's square, its ratio changed by at most a factor of e^`stretch` either way; without `area`,
    the whole picture squeezed to the square. A share `spoil` of the inputs is aged, with `flip` every other crop mirrored.
    A source's pictures are drawn with its size to the power 1 - `balance`, so that large ones do not rule; with 0 every
    picture comes once before any comes again.
    """

    size: int
    area: tuple[float, float] | None = None
    stretch: float = 0.0
    spoil: float = 0.0
    flip: bool = True
    balance: float = 0.0
    seed: int = 0


class Crops(Dataset[dict[str, Tensor | int]]):
    """`count` crops of the pictures `rows` of a pack, for one epoch.

    Each is `luma` (1, S, S) float in [0, 1], perhaps aged; `rgb` (3, S, S) uint8 as it was; its picture's `topic` and, where the pack has views, its `view` (K,).
    """

    def __init__(self, pack: Pack, rows: Rows, cut: Cut, epoch: int, count: int) -> None:
        self.pack, self.rows, self.cut, self.epoch, self.count = pack, rows, cut, epoch, count
        turns = -(-count // len(rows)) if not cut.balance else 0
        self.order = [np.random.default_rng([cut.seed, epoch, 0, turn]).permutation(len(rows)) for turn in range(turns)]
        sources = pack.source[rows]
        sizes = np.bincount(sources).clip(1)  # a source may have all its pictures in the other part
        weight = (sizes.astype(float) ** -cut.balance)[sources]
        self.cumulative = np.cumsum(weight / weight.sum())

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> dict[str, Tensor | int]:
        rng = np.random.default_rng([self.cut.seed, self.epoch, 1, i])
        rgb, row = self._rgb(i, rng)
        luma = luma_of(rgb)
        if rng.random() < self.cut.spoil:
            luma = spoil(luma, rng)
        return _example(self.pack, row, luma, rgb)

    def _rgb(self, i: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], int]:
        if self.cut.balance:
            place = min(int(np.searchsorted(self.cumulative, rng.random())), len(self.rows) - 1)
        else:  # every picture once before any comes again
            turn, place = divmod(i, len(self.rows))
            place = int(self.order[turn][place])
        row = int(self.rows[place])
        picture = self.pack.picture(row)
        rgb = whole(picture, self.cut.size) if self.cut.area is None else self._part(picture, self.cut.area, rng)
        return np.array(rgb[:, ::-1] if self.cut.flip and rng.random() < 0.5 else rgb), row

    def _part(
        self, picture: NDArray[np.uint8], area: tuple[float, float], rng: np.random.Generator
    ) -> NDArray[np.uint8]:
        h, w = picture.shape[:2]
        side = np.sqrt(rng.uniform(*area)) * min(h, w)
        stretch = np.exp(rng.uniform(-self.cut.stretch, self.cut.stretch))
        ch, cw = min(h, side / np.sqrt(stretch)), min(w, side * np.sqrt(stretch))
        y, x = rng.uniform(0, h - ch), rng.uniform(0, w - cw)
        return resized(picture, self.cut.size, (x, y, x + cw, y + ch), SHARPNESS[rng.integers(len(SHARPNESS))])


class Whole(Dataset[dict[str, Tensor | int]]):
    """The pictures `rows`, each squeezed to S x S, not aged and not flipped: for validation. Fields as `Crops`."""

    def __init__(self, pack: Pack, rows: Rows, size: int) -> None:
        self.pack, self.rows, self.size = pack, rows, size

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> dict[str, Tensor | int]:
        row = int(self.rows[i])
        rgb = np.array(whole(self.pack.picture(row), self.size))
        return _example(self.pack, row, luma_of(rgb), rgb)


def _example(pack: Pack, row: int, luma: NDArray[np.float32], rgb: NDArray[np.uint8]) -> dict[str, Tensor | int]:
    planes = torch.from_numpy(rgb).permute(2, 0, 1)
    seen = {} if pack.views is None else {"view": torch.from_numpy(pack.views[row])}
    return {"luma": torch.from_numpy(luma[None]), "rgb": planes, "topic": int(pack.topic[row]), **seen}


def luma_of(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Rec. 601 luma (H, W) in [0, 1] of bytes (H, W, 3), not rounded."""
    return np.asarray(rgb @ _LUMA / np.float32(255), np.float32)


def whole(picture: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """A picture (H, W, 3) squeezed to (size, size, 3)."""
    h, w = picture.shape[:2]
    return picture if (h, w) == (size, size) else resized(picture, size, (0, 0, w, h))


def resized(
    picture: NDArray[np.uint8],
    size: int,
    box: tuple[float, float, float, float],
    by: Image.Resampling = Image.Resampling.BILINEAR,
) -> NDArray[np.uint8]:
    """The part `box` (left, top, right, bottom) of a picture (H, W, 3), (size, size, 3)."""
    return np.asarray(Image.fromarray(picture).resize((size, size), by, box))


def everything(pack: Pack) -> Rows:
    """All pictures of a pack."""
    return np.arange(len(pack))


def split(pack: Pack, share: float, most: int, seed: int) -> tuple[Rows, Rows]:
    """The pictures to train on, and those held out: a `share` of all, at least one and at most `most`, drawn by the seed.

    Raises UsageError where there are too few.
    """
    order = np.random.default_rng([seed, 1]).permutation(len(pack))
    out = min(most, max(1, round(share * len(pack))))
    if len(pack) < 2:
        raise UsageError("one picture is not enough: one is held out to validate, and another is needed to train on")
    return np.sort(order[out:]), np.sort(order[:out])


def spoil(luma: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """What happens to prints and their scans, on luma (H, W) in [0, 1]: gamma, contrast and fading always; blur, grain and JPEG's blocks each three times in ten."""
    out = luma ** np.float32(np.exp(rng.uniform(-0.4, 0.4)))
    low, high = rng.uniform(0, 0.2), rng.uniform(0.75, 1)
    out = low + (high - low) * out
    if rng.random() < 0.3:
        for _ in range(rng.integers(1, 4)):  # standard deviations of 0.7, 1 and 1.2 pixels
            out[:, 1:-1] = 0.25 * (out[:, :-2] + 2 * out[:, 1:-1] + out[:, 2:])
            out[1:-1] = 0.25 * (out[:-2] + 2 * out[1:-1] + out[2:])
    if rng.random() < 0.3:
        out = out + rng.normal(0, rng.uniform(0.005, 0.04), out.shape).astype(np.float32)
    if rng.random() < 0.3:
        out = _as_jpeg(out, int(rng.integers(15, 60)))
    return np.clip(out, 0, 1).astype(np.float32)


def _as_jpeg(luma: NDArray[np.float32], quality: int) -> NDArray[np.float32]:
    file = io.BytesIO()
    Image.fromarray(np.rint(255 * np.clip(luma, 0, 1)).astype(np.uint8)).save(file, "JPEG", quality=quality)
    with Image.open(file) as image:
        return np.asarray(image, np.float32) / np.float32(255)
