"""What one process does: colour some pictures by every candidate, and measure."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from tintype.errors import ModelError, TintypeError
from tintype.evaluate.candidates import RGB, Colour, Sample, colour_of
from tintype.evaluate.failures import FAILURES
from tintype.evaluate.metrics import MEASURES, Measure, View, colours, nearly_grey, pixel_errors
from tintype.evaluate.perceptual import Features, distance_of, features_of
from tintype.evaluate.pictures import Stream, sample_of
from tintype.evaluate.plan import Plan
from tintype.evaluate.turing import describe

#: The classifier of turing.py is shown the first so many pictures; of a random part of the pictures, the first so many that were drawn.
TOLD = 2000
#: What is stored of each picture and candidate.
STORED: dict[str, Measure] = {**MEASURES, **FAILURES}
#: Fields of a part that are arrays.
_ARRAYS = ("numbers", "grey", "pixels", "values", "errors", "colours", "told")


@dataclass(frozen=True)
class Part:
    """What was measured on some pictures (n) of M candidates with K measures: STORED, then the plan's distances.

    The originals come first wherever there are M + 1 of something. What a candidate couldn't colour is NaN.
    """

    numbers: NDArray[np.int64]  #: (n,) of the pictures
    names: list[str]  #: (n,)
    grey: NDArray[np.bool_]  #: (n,) whether the original has hardly any colour
    pixels: NDArray[np.int64]  #: (n,)
    values: NDArray[np.float32]  #: (n, M, K)
    errors: NDArray[np.int64]  #: (M, B) pixels by their error
    colours: NDArray[np.int64]  #: (M + 1, C, C) pixels by their ab
    features: list[NDArray[np.float16]]  #: (n, M + 1, D) of each network
    told: NDArray[np.float32]  #: (n', M + 1, D) descriptors for turing.py, of those pictures that it is shown
    failures: list[tuple[str, str, str]]  #: picture, candidate ("" where it can't be read), why

    def save(self, path: Path) -> None:
        """As a file of numpy's."""
        lists = json.dumps({"names": self.names, "failures": self.failures, "features": len(self.features)})
        arrays: dict[str, Any] = {f"features{k}": array for k, array in enumerate(self.features)}
        plain = {k: getattr(self, k) for k in _ARRAYS}
        with path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, lists=np.array(lists), **plain, **arrays)

    @classmethod
    def load(cls, path: Path) -> Part:
        """What `save` wrote. Raises TintypeError where it is damaged."""
        try:
            with np.load(path) as stored:
                lists = json.loads(str(stored["lists"]))
                features = [stored[f"features{k}"] for k in range(lists["features"])]
                plain: dict[str, Any] = {k: stored[k] for k in _ARRAYS}
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            raise TintypeError(f"{path}: is damaged; delete it, and the same command measures it again") from None
        return cls(**plain, names=lists["names"], features=features, failures=[tuple(f) for f in lists["failures"]])


class Bench:
    """All that a process needs, loaded once."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.pictures = plan, Stream(plan.data)
        self.colour: list[Colour] = [colour_of(one, plan.seed, 1) for one in plan.candidates]
        self.features = [found for name in plan.features if (found := available(features_of, name)[0])]
        self.distances = [found for name in plan.distances if (found := available(distance_of, name)[0])]

    def measure(self, numbers: Sequence[int]) -> Part:
        """The pictures of those numbers, each higher than any before. One that can't be read, or coloured, is noted and left out."""
        failures: list[tuple[str, str, str]] = []
        samples: list[tuple[int, Sample]] = []
        for picture in self.pictures.take(numbers):
            found = sample_of(picture, self.plan.short)
            if isinstance(found, str):
                failures.append((found.partition(": ")[0], "", found))
            else:
                samples.append((picture.number, found))
        rows = [self._row(number, sample, failures) for number, sample in samples]
        return self._part([number for number, _ in samples], [s for _, s in samples], rows, failures)

    def _row(self, number: int, sample: Sample, failures: list[tuple[str, str, str]]) -> _Row:
        """One picture by all candidates."""
        original = View(sample.rgb)
        results = [self._coloured(k, sample, failures) for k in range(len(self.colour))]
        views = [None if result is None else View(result) for result in results]
        grey = nearly_grey(original)
        distances = [distance.to(sample.rgb) for distance in self.distances]
        values = np.array([_values(view, original, distances) for view in views], np.float32)
        if grey:  # how right colours are can't be said where there are none
            values[:, [k for k, measure in enumerate(STORED.values()) if measure.needs_colour]] = np.nan
        seen = [sample.rgb, *results]
        told = (
            [describe(rgb) if rgb is not None else None for rgb in seen] if self.plan.subset or number < TOLD else None
        )
        return _Row(
            grey,
            original.rgb[..., 0].size,
            values,
            [pixel_errors(view, original) if view else None for view in views],
            [colours(view) if view else None for view in (original, *views)],
            [_filled(_each(network, seen)) for network in self.features],
            _filled(told) if told else None,
        )

    def _coloured(self, k: int, sample: Sample, failures: list[tuple[str, str, str]]) -> RGB | None:
        try:
            return self.colour[k](sample)
        except TintypeError as error:
            failures.append((sample.name, self.plan.names[k], str(error)))
            return None

    def _part(
        self, numbers: list[int], samples: list[Sample], rows: list[_Row], failures: list[tuple[str, str, str]]
    ) -> Part:
        m, k = len(self.colour), len(STORED) + len(self.distances)
        told = [row.told for row in rows if row.told is not None]
        return Part(
            np.array(numbers, np.int64),
            [sample.name for sample in samples],
            np.array([row.grey for row in rows], bool),
            np.array([row.pixels for row in rows], np.int64),
            np.array([row.values for row in rows], np.float32).reshape(-1, m, k),
            _summed([row.errors for row in rows], m),
            _summed([row.colours for row in rows], m + 1),
            [np.array([row.features[f] for row in rows], np.float16) for f in range(len(self.features))],
            np.array(told, np.float32),
            failures,
        )


@dataclass(frozen=True)
class _Row:
    """What Part stacks, of one picture."""

    grey: bool
    pixels: int
    values: NDArray[np.float32]
    errors: list[NDArray[np.int64] | None]
    colours: list[NDArray[np.int64] | None]
    features: list[NDArray[np.float32]]
    told: NDArray[np.float32] | None


def _values(result: View | None, original: View, distances: Sequence[Callable[[RGB], float]]) -> list[float]:
    """All measures of a result, NaN where there is none."""
    if result is None:
        return [float("nan")] * (len(STORED) + len(distances))
    stored = [measure.of(result, original) for measure in STORED.values()]
    return stored + [distance(result.rgb) for distance in distances]


@cache
def bench(plan: Plan) -> Bench:
    """The process's own."""
    return Bench(plan)


def available(build: Callable[[str], Any], name: str) -> tuple[Any, str]:
    """What `build` makes of the name and ""; or None and, where its weights are missing, why."""
    try:
        return build(name), ""
    except ModelError as error:
        return None, str(error)


def _each(network: Features, pictures: Sequence[RGB | None]) -> list[NDArray[np.float32] | None]:
    """The features of those pictures that there are."""
    there = [rgb for rgb in pictures if rgb is not None]
    answers = iter(network(there))
    return [None if rgb is None else next(answers) for rgb in pictures]


def _filled(rows: Sequence[NDArray[np.float32] | None]) -> NDArray[np.float32]:
    """Rows (D,) as one array (N, D), NaN where one is missing. The first is never missing."""
    assert rows[0] is not None
    return np.array([np.full_like(rows[0], np.nan) if row is None else row for row in rows], np.float32)


def _summed(rows: list[list[NDArray[np.int64] | None]], count: int) -> NDArray[np.int64]:
    """Counts summed over the pictures, for each of `count` candidates; (count, 0) where there is nothing to sum."""
    shape = next((found.shape for row in rows for found in row if found is not None), (0,))
    total = np.zeros((count, *shape), np.int64)
    for row in rows:
        for k, found in enumerate(row):
            if found is not None:
                total[k] += found
    return total
