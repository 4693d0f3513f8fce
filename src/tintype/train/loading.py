"""Batches of a training's crops, read by processes beside it; and what is said when one of these is gone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.utils.data import DataLoader, Dataset, Sampler

from tintype.errors import TintypeError


def loader(data: Dataset[Any], batch: int, workers: int, order: Sampler[Any] | None = None) -> DataLoader[Any]:
    """Batches of `batch` in the given order, made by `workers` processes, or by this one where there are none."""
    return DataLoader(data, batch, False, order, num_workers=workers, prefetch_factor=4 if workers else None)


@contextmanager
def alive() -> Iterator[None]:
    """Raises TintypeError where a process that reads pictures is killed, such as for want of memory: torch says so with a RuntimeError, anywhere."""
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker (pid" not in str(error):  # what is raised in one says "in DataLoader worker process"
            raise
        raise TintypeError(
            "a process that reads pictures was killed, and so the run stopped; the same command goes on from its last checkpoint "
            "(out of memory? try fewer --workers)"
        ) from error
