"""What an evaluation is to do, as a frozen value: it travels to processes, and a folder begun with one goes on with the same alone."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from tintype.evaluate.candidates import Candidate
from tintype.train.sources import places
from tintype.weights import sha256_of

#: Of what is stored for each picture: a folder of another number is begun anew.
FORMAT = 2
#: The grey picture, the line that any colorizer must beat, is in every evaluation.
GREY = Candidate("grey", "grey", "method")


@dataclass(frozen=True)
class Plan:
    """Candidates on pictures. Equal plans give equal numbers."""

    candidates: tuple[Candidate, ...]
    data: tuple[str, ...]
    subset: int = 0  #: so many pictures, drawn by the seed; 0: all
    seed: int = 0
    short: int = 0  #: their short side is reduced to at most so many pixels; 0: their own size
    features: tuple[str, ...] = ("features", "fid-inception")  #: networks for Fréchet distances
    distances: tuple[str, ...] = ("features", "lpips-alex")  #: networks for perceptual distances

    @property
    def names(self) -> tuple[str, ...]:
        """Of the candidates."""
        return tuple(one.name for one in self.candidates)

    def written(self) -> str:
        """The plan as JSON, with what changes when a file of the data does."""
        found = [[place.path, place.key] for name in self.data for place in places(name)]
        found += [[name, sha256_of(Path(name))] for name in self.features if name.endswith(".ts")]
        held = hashlib.sha256(json.dumps(found).encode()).hexdigest()
        return json.dumps({"format": FORMAT, "plan": dataclasses.asdict(self), "files": held}, indent=1)


def with_grey(candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """The candidates, and the grey picture before them if it is not one of them."""
    return candidates if any(one.what == GREY.what for one in candidates) else (GREY, *candidates)
