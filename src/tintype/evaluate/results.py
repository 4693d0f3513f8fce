"""What all parts of an evaluation say together. Parts are read one at a time, so that memory stays flat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tintype.errors import TintypeError
from tintype.evaluate.measuring import STORED, TOLD, Part, available
from tintype.evaluate.metrics import Measure
from tintype.evaluate.perceptual import Gaussian, distance_of, features_of, frechet
from tintype.evaluate.plan import Plan
from tintype.evaluate.turing import PALETTE, Verdict, told_apart

#: Share of the pictures that may fail before the evaluation does.
MOST_FAILED = 0.01


@dataclass(frozen=True)
class Frechet:
    """The distance of each candidate's features to the originals' (M,); or `missing` says why there is none."""

    title: str
    distances: tuple[float, ...] = ()
    missing: str = ""


@dataclass(frozen=True)
class Told:
    """How well a candidate's results are told from the originals: by `all` descriptors of turing.py, and by the `palette` alone, wherever its colours lie."""

    all: Verdict
    palette: Verdict


@dataclass(frozen=True)
class Results:
    """An evaluation's numbers: N pictures, M candidates, K measures."""

    plan: Plan
    measures: dict[str, Measure]  #: K of them, in the order of `values`
    missing: dict[str, str]  #: measures that there should be more, and why there aren't
    names: list[str]  #: (N,) of the pictures
    numbers: NDArray[np.int64]  #: (N,) in the stream
    grey: NDArray[np.bool_]  #: (N,) originals with hardly any colour
    pixels: NDArray[np.int64]  #: (N,)
    values: NDArray[np.float32]  #: (N, M, K), a file mapped into memory
    errors: NDArray[np.int64]  #: (M, B) pixels by their error
    colours: NDArray[np.int64]  #: (M + 1, C, C) pixels by their ab, the originals' first
    frechet: tuple[Frechet, ...]
    told: tuple[Told, ...]  #: of each candidate
    failures: list[tuple[str, str, str]]

    def column(self, measure: str, candidate: int) -> NDArray[np.float32]:
        """One measure of one candidate (N,), NaN where it has none."""
        return np.asarray(self.values[:, candidate, list(self.measures).index(measure)])

    def pooled(self, candidate: int) -> float:
        """The candidate's ab RMSE over all pixels of all pictures that have colour."""
        error = self.column("ab_rmse", candidate).astype(np.float64)
        there = np.isfinite(error)
        if not there.any():
            return float("nan")
        return float(np.sqrt(np.average(error[there] ** 2, weights=self.pixels[there])))


def gathered(plan: Plan, paths: Sequence[Path], folder: Path) -> Results:
    """The results of all parts. Raises TintypeError where more than 1 % of the pictures can't be read, or of a candidate's results be had."""
    measures, missing = measures_of(plan)
    names: list[str] = []
    failures: list[tuple[str, str, str]] = []
    numbers, grey, pixels = list[NDArray[np.int64]](), list[NDArray[np.bool_]](), list[NDArray[np.int64]]()
    errors = colours = np.zeros(0, np.int64)
    with (folder / "values.f32").open("wb") as file:
        for part in _loaded(paths):
            failures += part.failures
            if not part.names:
                continue
            names += part.names
            numbers.append(part.numbers)
            grey.append(part.grey)
            pixels.append(part.pixels)
            file.write(np.ascontiguousarray(part.values).tobytes())
            errors = errors + part.errors if errors.size else part.errors
            colours = colours + part.colours if colours.size else part.colours
    _refuse_many(failures, len(names), plan)
    shape = (len(names), len(plan.candidates), len(measures))
    return Results(
        plan,
        measures,
        missing,
        names,
        np.concatenate(numbers),
        np.concatenate(grey),
        np.concatenate(pixels),
        np.memmap(folder / "values.f32", np.float32, "r", shape=shape),
        errors,
        colours,
        _frechet(plan, paths),
        _told(plan, paths),
        failures,
    )


def check_networks(plan: Plan) -> None:
    """Raises UsageError or ModelError where the plan names a network that is none: better before anything is measured than after."""
    for name in plan.features:
        if name.endswith(".ts"):
            features_of(name)  # a file that was named must be there; weights to fetch may be missing
        else:
            available(features_of, name)
    for name in plan.distances:
        available(distance_of, name)


def measures_of(plan: Plan) -> tuple[dict[str, Measure], dict[str, str]]:
    """The measures that the plan comes to, by their columns' names; and why others are missing."""
    measures, missing = dict(STORED), dict[str, str]()
    for name in plan.distances:
        distance, why = available(distance_of, name)
        if distance is None:
            missing[name] = why
        else:
            measures[f"distance {name}"] = distance.measure
    return measures, missing


def _loaded(paths: Sequence[Path]) -> Iterator[Part]:
    for path in paths:
        yield Part.load(path)


def _refuse_many(failures: Sequence[tuple[str, str, str]], there: int, plan: Plan) -> None:
    """Raises TintypeError where more than a hundredth is missing, with the first that is."""
    unread = [why for _, candidate, why in failures if not candidate]
    for what, those, of in (
        ("of the pictures can't be read", unread, there + len(unread)),
        *(
            (f"of the results of {name} can't be had", [w for _, c, w in failures if c == name], there)
            for name in plan.names
        ),
    ):
        if len(those) > MOST_FAILED * of:
            raise TintypeError(f"{len(those)} of {of} {what}, more than 1 %; the first: {those[0]}")


def _frechet(plan: Plan, paths: Sequence[Path]) -> tuple[Frechet, ...]:
    """The distances by each of the plan's networks."""
    there = 0
    found = []
    for name in plan.features:
        network, why = available(features_of, name)
        if network is None:
            found.append(Frechet(name, missing=why))
            continue
        found.append(Frechet(network.title, _distances(paths, there, network.dimension, len(plan.candidates))))
        there += 1
    return tuple(found)


def _distances(paths: Sequence[Path], network: int, dimension: int, candidates: int) -> tuple[float, ...]:
    """Of each candidate's features to the originals': only pictures that all candidates have count."""
    clouds = [Gaussian(dimension) for _ in range(candidates + 1)]
    for part in _loaded(paths):
        rows = part.features[network]
        if len(rows):
            whole = rows[np.isfinite(rows).all((1, 2))].astype(np.float32)
            for k, cloud in enumerate(clouds):
                cloud.update(whole[:, k])
    return tuple(frechet(clouds[0], cloud) if cloud.count > 1 else float("nan") for cloud in clouds[1:])


def _told(plan: Plan, paths: Sequence[Path]) -> tuple[Told, ...]:
    """What turing.py's classifier makes of each candidate."""
    rows = list[NDArray[np.float32]]()
    for part in _loaded(paths):
        if part.told.size:
            rows.append(part.told)
        if sum(map(len, rows)) >= TOLD:
            break
    shown = np.concatenate(rows)[:TOLD] if rows else np.zeros((0, len(plan.candidates) + 1, PALETTE), np.float32)
    return tuple(_verdicts(shown, k, plan.seed) for k in range(1, shown.shape[1]))


def _verdicts(shown: NDArray[np.float32], k: int, seed: int) -> Told:
    """Descriptors (n, M + 1, D) of originals and candidates; `k` is the candidate's place there."""
    whole = shown[np.isfinite(shown[:, k]).all(1)]
    originals, results = whole[:, 0], whole[:, k]
    return Told(told_apart(originals, results, seed), told_apart(originals[:, :PALETTE], results[:, :PALETTE], seed))
