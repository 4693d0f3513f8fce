"""Colour from a reference picture (Welsh, Ashikhmin, Mueller 2002, "Transferring Color to Greyscale Images", section 3).

Each grey pixel takes the colour of that one of about 200 points of the reference whose luma, and whose luma's deviation
around it, are closest. First the picture's luma is given the reference's histogram. Only the points' numbers and the
histogram of a reference are kept, about 4 kB.

What is moved is ab of CIELAB, as Welsh moves two channels of l-alpha-beta, so that a colour keeps its strength at another
lightness; the same Cb and Cr look stronger in the dark. (The error hardly shows it: points and picture are near in luma.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from hashlib import sha256

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from tintype.guidance.hints import Hints
from tintype.methods.ab_classes import ab_of, ab_to_chroma
from tintype.methods.method import InputRules, Options, refuse_hints
from tintype.picture.color import split
from tintype.picture.picture import reduced_size
from tintype.picture.reduce import average

RGB = NDArray[np.uint8]
Float = NDArray[np.float32]

#: Of references and pictures alike, in pixels: a deviation over 5 x 5 pixels means something only at a known size.
LONGEST = 256
#: About how many points of a reference are looked at.
POINTS = 200
#: The side of the neighbourhood whose deviation is taken.
SIDE = 5
#: Grey levels of a histogram: those of 8 bits.
LEVELS = 256


@dataclass(frozen=True)
class Samples:
    """What is kept of one reference: at n points luma (n,) in [0, 1], its deviation (n,), ab (n, 2); and the histogram (256,) of its luma."""

    luma: Float
    deviation: Float
    ab: Float
    histogram: Float


class Transfer:
    """Welsh's colour transfer as a method, from one reference picture or several, RGB (H, W, 3) uint8 of any size.

    Of several the one whose luma is most like the picture's is taken: see `nearest`. `seed` says which points of each
    reference are looked at, the same ones whatever the other references. `sha256` is of all that was kept of them.
    Raises ValueError for no reference, and for an array of another shape or type.
    """

    def __init__(self, references: Sequence[RGB], name: str = "welsh", seed: int = 0) -> None:
        if not references:
            raise ValueError("there is no reference; expected at least one RGB picture")
        self.name = name
        self.rules = InputRules(longest=LONGEST)
        self.samples = tuple(sample(reference, np.random.default_rng(seed)) for reference in references)
        self.sha256 = _digest(self.samples)
        self._histograms = np.stack([samples.histogram for samples in self.samples])

    def chroma(self, luma: Float, hints: Hints, options: Options) -> Float:
        """Luma (h, w) in [0, 1] -> chroma (h, w, 2) as (Cb, Cr). Of `options` none has a say. Raises HintsError for any hint."""
        refuse_hints(self.name, hints)
        samples = self.samples[nearest(luma, self._histograms)]
        matched = match(luma, samples.histogram)
        return ab_to_chroma(luma, samples.ab[_closest(matched, deviation(matched), samples)])


def sample(reference: RGB, rng: np.random.Generator) -> Samples:
    """About 200 points of an RGB picture (H, W, 3) uint8, one drawn by `rng` in each cell of a grid; all pixels of a smaller one."""
    if reference.ndim != 3 or reference.shape[2] != 3 or reference.dtype != np.uint8 or not reference.size:
        raise ValueError(f"a reference is {reference.dtype} {reference.shape}; expected uint8 (H, W, 3)")
    size = reduced_size((reference.shape[0], reference.shape[1]), LONGEST)
    rgb = np.stack([average(reference[..., k], size) for k in range(3)], -1) / np.float32(255)
    luma = split(rgb)[0]
    y, x = _jittered(size, rng)
    ab = ab_of(rgb[y, x]).astype(np.float32)
    return Samples(luma[y, x], deviation(luma)[y, x], ab, histogram(luma))


def _jittered(size: tuple[int, int], rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """One point in each cell of a grid of about 200 near-square cells over a picture of `size` (h, w): rows and columns, (n,) each."""
    height, width = size
    rows = int(np.clip(round((POINTS * height / width) ** 0.5), 1, height))
    columns = int(np.clip(round(POINTS / rows), 1, width))
    cell = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), -1).reshape(-1, 2)
    y, x = ((cell + rng.random(cell.shape)) * (height / rows, width / columns)).astype(np.int64).T
    return np.minimum(y, height - 1), np.minimum(x, width - 1)


def deviation(luma: Float) -> Float:
    """Standard deviation of luma (h, w) over the 5 x 5 pixels around each, (h, w) in units of luma; the edge's pixels are repeated outwards."""
    windows = sliding_window_view(np.pad(luma, SIDE // 2, mode="edge"), (SIDE, SIDE))
    return np.asarray(windows.std((-2, -1)), np.float32)


def histogram(luma: Float) -> Float:
    """The share of pixels of luma (h, w) in [0, 1] at each of 256 grey levels, (256,)."""
    return (np.bincount(_levels(luma).ravel(), minlength=LEVELS) / luma.size).astype(np.float32)


def match(luma: Float, wanted: Float) -> Float:
    """Luma (h, w) in [0, 1] with each grey level moved to that of the same rank in the histogram `wanted` (256,); equal histograms move nothing.

    The paper only shifts and stretches to the other's mean and deviation.
    """
    own = histogram(luma)
    there = wanted > 0
    moved = np.interp(_ranks(own), _ranks(wanted)[there], np.flatnonzero(there) / (LEVELS - 1))
    return moved.astype(np.float32)[_levels(luma)]


def nearest(luma: Float, histograms: Float) -> int:
    """Which of `histograms` (n, 256) is nearest to that of luma (h, w): the least sum of differences of cumulative shares, the first of several.

    That sum is how far, in levels, grey must be moved to make one of the other (the earth mover's distance).
    """
    apart = np.abs(np.cumsum(histograms - histogram(luma), axis=1, dtype=np.float64)).sum(1)
    return int(apart.argmin())


def _closest(luma: Float, spread: Float, samples: Samples) -> NDArray[np.int64]:
    """For each pixel of luma and its deviation (h, w) the closest sample's number (h, w); both weigh half. A row at a time, for memory."""
    rows = []
    for grey, around in zip(luma, spread, strict=True):
        apart = np.abs(grey[:, None] - samples.luma) + np.abs(around[:, None] - samples.deviation)
        rows.append(apart.argmin(1))
    return np.stack(rows)


def _levels(luma: Float) -> NDArray[np.int64]:
    """The nearest of 256 grey levels, same shape."""
    return np.clip(np.rint(luma * (LEVELS - 1)), 0, LEVELS - 1).astype(np.int64)


def _ranks(shares: Float) -> NDArray[np.float64]:
    """How many of all pixels lie below each level, and half of those on it: (256,) in [0, 1]."""
    return np.cumsum(shares, dtype=np.float64) - shares / 2


def _digest(samples: Sequence[Samples]) -> str:
    """SHA-256 in hex over every number kept, as little-endian float32."""
    digest = sha256()
    for one in samples:
        for part in astuple(one):
            digest.update(np.ascontiguousarray(part, "<f4").tobytes())
    return digest.hexdigest()
