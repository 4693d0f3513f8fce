"""Hints: colours that a person puts on points of the picture."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """At (x, y), pixels of the upright original, the colour is `rgb`, 0 .. 255 each."""

    x: float
    y: float
    rgb: tuple[int, int, int]


@dataclass(frozen=True)
class Hints:
    """What is known beforehand; empty means nothing."""

    points: tuple[Point, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.points)
