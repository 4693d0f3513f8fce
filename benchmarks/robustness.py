"""What figures.py measures beside an evaluation: neutral pixels that got colour, degraded inputs, one picture at two sizes.

Pictures are uint8: grey ones (H, W), in colour RGB (H, W, 3). ab is CIELAB's.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from tintype.errors import TintypeError
from tintype.evaluate import engine
from tintype.evaluate.candidates import Candidate, Colour, Sample, colour_of
from tintype.evaluate.failures import COLOURED, NEUTRAL
from tintype.evaluate.measuring import bench
from tintype.evaluate.metrics import View, lab
from tintype.evaluate.pictures import Stream, count, drawn, sample_of
from tintype.evaluate.plan import Plan
from tintype.picture.atomic import replacing
from tintype.picture.color import luma_of, split
from tintype.picture.join import join
from tintype.picture.picture import reduced_size
from tintype.picture.reduce import average

Grey = NDArray[np.uint8]
RGB = NDArray[np.uint8]
Doubles = NDArray[np.float64]

#: Of what is stored of each picture: a folder of another number is begun anew.
FORMAT = 1
#: Degraded inputs are tried on so many pictures of a set at most, the first that its seed draws: the loss is compared picture by picture, so few tell it.
TRIED = 500
#: Longest sides in pixels of the two sizes that one picture is coloured at, and the side of the cells whose mean colours are compared.
SMALL, LARGE, CELL = 256, 1024, 32


def _grain(grey: Grey, rng: np.random.Generator) -> Grey:
    return _bytes(grey + rng.normal(0, 8, grey.shape))


def _blur(grey: Grey, rng: np.random.Generator) -> Grey:
    return _bytes(ndimage.gaussian_filter(grey.astype(np.float64), 1.0))


def _fade(grey: Grey, rng: np.random.Generator) -> Grey:
    return _bytes(128 + 0.6 * (grey.astype(np.float64) - 128))


def _jpeg(grey: Grey, rng: np.random.Generator) -> Grey:
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "JPEG", quality=30)
    return np.asarray(Image.open(file).convert("L"))


def _all(grey: Grey, rng: np.random.Generator) -> Grey:
    """As it happens to an old print: the lens, the years, the film's grain in the scan, the file."""
    for one in (_blur, _fade, _grain, _jpeg):
        grey = one(grey, rng)
    return grey


def _bytes(values: Doubles) -> Grey:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


#: What is done to a grey picture before a method sees it.
DAMAGES: dict[str, Callable[[Grey, np.random.Generator], Grey]] = {
    "grain, sigma 8 of 255": _grain,
    "blur, sigma 1 pixel": _blur,
    "fade to 60 % contrast around 128": _fade,
    "JPEG, quality 30": _jpeg,
    "blur, fade, grain and JPEG": _all,
}


#: The rows of Trials of no picture.
_NONE = np.zeros((0, 3)), np.zeros((0, 2 + len(DAMAGES)))


@dataclass(frozen=True)
class Trials:
    """Sums over the pixels of each picture (N), float64."""

    neutral: Doubles  #: (N, 3) pixels whose true chroma is under 3; of them those over 12 in the mean decode, and in the default one
    squares: Doubles  #: (N', 2 + damages) squared error of ab: of grey, of the mean decode, and of that on each degraded input


def trials(plan: Plan, numbers: Sequence[int], folder: Path, processes: int, step: engine.Step) -> Trials:
    """Of the plan's pictures of those numbers, rising; its candidates are grey, METHOD's mean decode and its default one.

    `folder` keeps what is measured: the same call goes on where a killed one stopped. What can't be coloured is left out.
    """
    own, total = folder / f"trials-{FORMAT}", count(plan.data)
    tried = drawn(total, TRIED, plan.seed) or frozenset(range(total))
    plan = replace(plan, features=(), distances=())
    with engine.opened(plan, own):
        paths = engine.in_parts(partial(_measured, plan, tried), numbers, own, processes, step)
        parts = [_stored(path) for path in paths]
    neutral, squares = (np.concatenate([part[k] for part in [_NONE, *parts]]) for k in range(2))
    return Trials(neutral, squares[np.isfinite(squares).all(1)])


def _stored(path: Path) -> tuple[Doubles, Doubles]:
    """What `_measured` wrote. Raises TintypeError where it is damaged."""
    try:
        with np.load(path) as part:
            return part["neutral"], part["squares"]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        raise TintypeError(f"{path}: is damaged; delete it, and the same command measures it again") from None


def _measured(plan: Plan, tried: frozenset[int], numbers: Sequence[int], path: Path) -> None:
    """In a process: one part, measured and stored."""
    loaded = bench(plan)
    _, mean, default = loaded.colour
    neutral, squares = list[list[float]](), list[list[float]]()
    for picture in loaded.pictures.take(numbers):
        sample = sample_of(picture, plan.short)
        try:
            if not isinstance(sample, str):
                rng = np.random.default_rng([plan.seed, picture.number])
                found = _picture(sample.rgb, mean, default, rng if picture.number in tried else None)
                neutral.append(found[0])
                squares.append(found[1])
        except TintypeError:  # the evaluation names it
            continue
    with replacing(path, overwrite=True) as part, part.open("wb") as file:
        np.savez(file, neutral=np.reshape(neutral, (-1, 3)), squares=np.reshape(squares, (-1, 2 + len(DAMAGES))))


def _picture(
    rgb: RGB, mean: Colour, default: Colour, rng: np.random.Generator | None
) -> tuple[list[float], list[float]]:
    """The rows of Trials of one picture. Without `rng` no input is degraded, and `squares` are NaN."""
    luma, true = luma_of(rgb), View(rgb)
    made = [View(_coloured(colour, luma)) for colour in (mean, default)]
    neutral = true.chroma < NEUTRAL
    counts = [float(neutral.sum()), *(float((view.chroma[neutral] > COLOURED).sum()) for view in made)]
    if rng is None:
        return counts, [np.nan] * (2 + len(DAMAGES))
    squares = [float((true.ab**2).sum()), float(((made[0].ab - true.ab) ** 2).sum())]  # grey has no ab
    for damage in DAMAGES.values():
        seen = _coloured(mean, damage(luma, rng))
        squares.append(float(((lab(join(luma, _chroma(seen)))[..., 1:] - true.ab) ** 2).sum()))
    return counts, squares


def _coloured(colour: Colour, grey: Grey) -> RGB:
    """The grey picture, coloured by the whole pipeline."""
    return colour(Sample("", "", np.repeat(grey[..., None], 3, -1)))


def _chroma(rgb: RGB) -> NDArray[np.float32]:
    """Cb and Cr (H, W, 2) of a picture, in [-0.5, 0.5]."""
    return split(rgb.astype(np.float32) / np.float32(255))[1]


def steadiness(one: Candidate, data: Sequence[str], seed: int) -> tuple[Doubles, int]:
    """How far the colours of one picture at 1,024 pixels are from those at 256, for each that is so large (N,); and how many there were in all.

    Mean over cells of 32 pixels of the distance of their mean ab, the larger result averaged down and put beside the same luma: CIE 1976 with L equal.
    """
    colour, apart, total = colour_of(one, seed, 1), list[float](), count(data)
    for picture in Stream(data).take(range(total)):
        sample = sample_of(picture, 0)
        if isinstance(sample, str) or max(sample.rgb.shape) < LARGE:
            continue
        luma = luma_of(sample.rgb)
        small = _reduced(luma, SMALL)
        fine = _chroma(_coloured(colour, _reduced(luma, LARGE)))
        down = np.stack([average(fine[..., k], small.shape) for k in range(2)], -1)
        apart.append(_distance(_coloured(colour, small), join(small, down)))
    return np.array(apart), total


def _reduced(grey: Grey, longest: int) -> Grey:
    return _bytes(average(grey, reduced_size(grey.shape, longest)).astype(np.float64))


def _distance(first: RGB, second: RGB) -> float:
    """Mean over cells of the distance of two pictures' mean ab."""
    off = lab(first)[..., 1:] - lab(second)[..., 1:]
    cells = tuple(-(-n // CELL) for n in off.shape[:2])
    a, b = (average(np.ascontiguousarray(off[..., k]), (cells[0], cells[1])) for k in range(2))
    return float(np.hypot(a, b).mean())
