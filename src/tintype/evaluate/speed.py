"""How fast each candidate colours, and what memory that takes: each alone in a process of its own, on the same few pictures."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from tintype.errors import TintypeError
from tintype.evaluate.candidates import Candidate, Sample, colour_of
from tintype.evaluate.pictures import sample_of, stream
from tintype.evaluate.plan import Plan
from tintype.evaluate.results import Results

#: Pictures that each is timed on, after one to warm up.
TIMED = 12


@dataclass(frozen=True)
class Speed:
    """Median seconds that a picture takes, whole pipeline, all cores; and the most memory that the process ever held, in bytes. 0: not measured."""

    seconds: float = 0.0
    memory: int = 0


def speeds(plan: Plan, results: Results) -> tuple[Speed, ...]:
    """Of each candidate, one after the other; nothing else should run meanwhile. A folder of results has none."""
    order = np.random.default_rng([plan.seed, 5]).permutation(results.numbers)
    pictures = [sample_of(picture, plan.short) for picture in stream(plan.data, frozenset(order[:TIMED].tolist()))]
    samples = [picture for picture in pictures if isinstance(picture, Sample)]
    return tuple(_alone(one, samples, plan.seed) for one in plan.candidates)


def _alone(one: Candidate, samples: Sequence[Sample], seed: int) -> Speed:
    if one.kind == "folder" or not samples:
        return Speed()
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_timed, one, samples, seed).result()


def _timed(one: Candidate, samples: Sequence[Sample], seed: int) -> Speed:
    """In a process of its own."""
    seconds = []
    try:
        colour = colour_of(one, seed, None)
        colour(samples[0])
        for sample in samples:
            began = time.perf_counter()
            colour(sample)
            seconds.append(time.perf_counter() - began)
    except TintypeError:  # it has failed on this picture before, and is named for it
        return Speed()
    return Speed(statistics.median(seconds), _most_memory())


def _most_memory() -> int:
    """The most memory that this process ever held, in bytes.

    On Linux that is not ru_maxrss, which begins with what the process that started this one held.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
