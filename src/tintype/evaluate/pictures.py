"""The pictures that colorizers are judged on: a numbered stream from any places, or a random part of it."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import pyarrow.parquet as pq

from tintype.errors import UsageError
from tintype.evaluate.candidates import Sample
from tintype.train.cache import decoded
from tintype.train.sources import PICTURES, Member, Place, members, places

#: Taller than any: pictures are taken at their own size.
_WHOLE = 10**9


@dataclass(frozen=True)
class Numbered:
    """Picture `number` of a stream, still coded; `key` is its name in folders of results. A text is what can't even be fetched, and why."""

    number: int
    key: str
    member: Member | str


class Stream:
    """The pictures of the places `data`, by their numbers in rising order: what was passed can't be asked for again.

    Files that nobody asks for are not read. Raises UsageError where a place can't be read.
    """

    def __init__(self, data: Sequence[str]) -> None:
        self._places = ((name, place) for name in data for place in places(name))
        self._next = 0
        self._open: Iterator[Numbered] = iter(())

    def take(self, numbers: Collection[int]) -> Iterator[Numbered]:
        """Those pictures, in their order."""
        last = max(numbers, default=-1)
        while self._next <= last:
            picture = next(self._open, None)
            if picture is not None:
                self._next = picture.number + 1
                if picture.number in numbers:
                    yield picture
                continue
            name, place = next(self._places, ("", None))
            if place is None:
                return
            if self._next not in numbers and place.path.lower().endswith(PICTURES):
                self._next += 1
            else:
                found = enumerate(members(place), self._next)
                self._open = (Numbered(number, key_of(member, name), member) for number, member in found)


def stream(data: Sequence[str], chosen: Collection[int]) -> Iterator[Numbered]:
    """The pictures of those numbers, in the order of the places. Raises UsageError where a place can't be read."""
    return Stream(data).take(chosen)


def count(data: Sequence[str]) -> int:
    """How many pictures the places hold. Only of tar files does that need reading them."""
    return sum(_count(place) for name in data for place in places(name))


def _count(place: Place) -> int:
    if place.path.lower().endswith(".parquet"):
        try:
            with place.system.open(place.path, "rb") as file:
                return int(pq.ParquetFile(file).metadata.num_rows)
        except (OSError, ValueError) as error:
            raise UsageError(f"{place.path}: can't be read: {error}") from None
    if re.search(r"\.(tar|tgz)(\.\w+)?$", place.path.lower()):
        return sum(1 for _ in members(place))
    return 1


def drawn(total: int, subset: int, seed: int) -> frozenset[int] | None:
    """The numbers of `subset` of `total` pictures, drawn at random by the seed; None, which stands for all, where that is all of them."""
    if not 0 < subset < total:
        return None
    return frozenset(np.random.default_rng([seed, 3]).permutation(total)[:subset].tolist())


def key_of(member: Member | str, root: str) -> str:
    """A picture's name in folders of results: its path below the folder `root`, without the ending; row 12 of a pack is called PACK-00012."""
    name = member.name if isinstance(member, Member) else member
    row = re.fullmatch(r"(.+)\[(\d+)\]", name)
    if row:
        return f"{PurePosixPath(row[1]).stem}-{int(row[2]):05d}"
    inner = re.search(r"\.(?:tar|tgz)(?:\.\w+)?:(.+)", name, re.IGNORECASE)
    if inner:
        return PurePosixPath(inner[1]).with_suffix("").as_posix()
    folder = os.path.realpath(root)
    if os.path.isdir(folder):
        below = os.path.relpath(os.path.join(os.path.realpath(os.path.dirname(name)), os.path.basename(name)), folder)
        return PurePosixPath(below).with_suffix("").as_posix()
    return PurePosixPath(name).stem


def sample_of(picture: Numbered, short: int) -> Sample | str:
    """The picture, decoded; its short side at most `short` pixels (0: its own size). Or, where it can't be read, why."""
    if isinstance(picture.member, str):
        return picture.member
    found = decoded([picture.member], short or _WHOLE)[0]
    return found if isinstance(found, str) else Sample(picture.member.name, picture.key, found[0])
