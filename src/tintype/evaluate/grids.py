"""Pictures for a report: the same few by every candidate, and each candidate's best, middling and worst."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
from PIL import Image

from tintype.errors import TintypeError
from tintype.evaluate.candidates import RGB, Colour, Sample
from tintype.evaluate.pictures import sample_of, stream
from tintype.evaluate.plan import Plan
from tintype.evaluate.results import Results

#: Longer side of a picture in the report, in pixels, and WebP's quality.
SIDE, QUALITY = 200, 78
#: Pictures that every candidate is shown with, and how many of its best, middling and worst.
SHARED, EACH = 8, 3
#: By which a candidate's results are ranked.
RANKED_BY = "ab_rmse"


@dataclass(frozen=True)
class Tile:
    """A picture as a data URI, its `width` and `height` there, and what stands below it."""

    source: str
    width: int
    height: int
    caption: str


@dataclass(frozen=True)
class Extremes:
    """A candidate's results beside their originals, by their error: pairs (original, result)."""

    best: list[tuple[Tile, Tile]]
    middle: list[tuple[Tile, Tile]]
    worst: list[tuple[Tile, Tile]]


@dataclass(frozen=True)
class Grids:
    """`shared`: for each of some pictures, by name, the original and every candidate's result. `extremes`: of each candidate that has any."""

    shared: dict[str, list[Tile]]
    extremes: dict[str, Extremes]


def grids(results: Results, colours: Sequence[Colour]) -> Grids:
    """Colour again, by each candidate's way, what is to be shown."""
    plan = results.plan
    shown = _drawn(results)
    ranked = {k: _ranked(results, k) for k in range(len(plan.names))}
    wanted = {*shown, *(i for groups in ranked.values() for group in groups for i in group)}
    samples = _samples(plan, {int(results.numbers[i]): i for i in wanted})
    shared = {samples[i].name: _row(plan, colours, samples[i]) for i in shown if i in samples}
    extremes = {}
    for k, groups in ranked.items():
        pairs = [[_pair(results, colours[k], k, i, samples[i]) for i in group if i in samples] for group in groups]
        if any(pairs):
            extremes[plan.names[k]] = Extremes(*pairs)
    return Grids(shared, extremes)


def _drawn(results: Results) -> list[int]:
    """Rows of the pictures for all, by the plan's seed: those with colour, if there are such."""
    order = np.random.default_rng([results.plan.seed, 4]).permutation(len(results.names))
    return [int(i) for i in sorted(order, key=lambda i: bool(results.grey[i]))[:SHARED]]


def _ranked(results: Results, candidate: int) -> tuple[list[int], list[int], list[int]]:
    """Rows of the candidate's pictures with the least, the median and the most error."""
    error = results.column(RANKED_BY, candidate)
    order = [int(i) for i in np.argsort(error, kind="stable") if np.isfinite(error[i])]
    middle = max(0, (len(order) - EACH) // 2)
    return order[:EACH], order[middle : middle + EACH], order[::-1][:EACH]


def _samples(plan: Plan, rows: Mapping[int, int]) -> dict[int, Sample]:
    """The pictures of those numbers, by their rows. One that has vanished meanwhile is left out."""
    found = ((rows[picture.number], sample_of(picture, plan.short)) for picture in stream(plan.data, frozenset(rows)))
    return {row: sample for row, sample in found if isinstance(sample, Sample)}


def _row(plan: Plan, colours: Sequence[Colour], sample: Sample) -> list[Tile]:
    """The original and every candidate's result."""
    tiles = [tile(sample.rgb, "original")]
    for name, colour in zip(plan.names, colours, strict=True):
        try:
            tiles.append(tile(colour(sample), name))
        except TintypeError:
            tiles.append(tile(np.full_like(sample.rgb, 255), f"{name}: none"))
    return tiles


def _pair(results: Results, colour: Colour, k: int, row: int, sample: Sample) -> tuple[Tile, Tile]:
    error = float(results.column(RANKED_BY, k)[row])
    return tile(sample.rgb, PurePath(sample.name).name), tile(colour(sample), f"{error:.1f}")


def tile(rgb: RGB, caption: str) -> Tile:
    """A picture (H, W, 3), reduced."""
    image = Image.fromarray(rgb)
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return Tile(uri(image), image.width, image.height, caption)


def uri(image: Image.Image) -> str:
    """A picture as a data URI, so that a page needs no other file."""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
