"""What a colorizer is. The pipeline knows a method only by this file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from tintype.errors import HintsError
from tintype.guidance.hints import Hints
from tintype.picture.picture import reduced_size

Decode = Literal["annealed", "mean", "mode", "sample"]


@dataclass(frozen=True)
class Options:
    """How a colorization is to be done. A method that has no use for one ignores it, but for hints."""

    decode: Decode = "annealed"  #: which colour of the predicted distribution: see methods.neural
    temperature: float = 0.0  #: of `annealed` and `sample`, above 0; 0 is the method's own
    seed: int = 0  #: of `sample`
    variant: int = 0  #: which of the colourings of `sample`: each number is another
    strength: float = 1.0  #: multiplies the chroma: 0 grey, 1 as predicted, up to 2
    refine: bool = True  #: edge-aware enlargement; without it chroma is enlarged bilinearly

    def __post_init__(self) -> None:
        if self.decode not in ("annealed", "mean", "mode", "sample"):
            raise ValueError(f"decode is {self.decode!r}; expected annealed, mean, mode or sample")
        if not 0 <= self.strength <= 2:
            raise ValueError(f"strength is {self.strength}; expected 0 to 2")
        if not 0 <= self.temperature <= 10:
            raise ValueError(f"temperature is {self.temperature}; expected 0 (the method's own) to 10")


@dataclass(frozen=True)
class InputRules:
    """What a method wants to see: the whole picture upright, its longest side reduced to `longest` pixels (never enlarged), ratio kept but for sides that are rounded to a `multiple`.

    A picture whose edges are repeated to fill it up looks odd to a network that has never seen such: a ratio that is a
    little off costs less (tint, mean, 200 pictures of 180 pixels, shown as 192: 23.7 % below grey in ab RMSE instead of 21.8).
    Or, where it is `square`, the whole squeezed to `longest` x `longest` pixels.
    """

    longest: int = 320
    square: bool = False
    multiple: int = 1

    def size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Of what a method sees of a picture of `size` (H, W): (h, w)."""
        if self.square:
            return self.longest, self.longest
        h, w = (self.multiple * max(1, round(side / self.multiple)) for side in reduced_size(size, self.longest))
        return h, w


class Method(Protocol):
    """A colorizer: reduced luma and hints in, coarse chroma out."""

    @property
    def name(self) -> str:
        """As methods.build knows it."""
        ...

    @property
    def sha256(self) -> str:
        """Of its weights, "" without any."""
        ...

    @property
    def rules(self) -> InputRules:
        """What it wants to see."""
        ...

    def chroma(self, luma: NDArray[np.float32], hints: Hints, options: Options) -> NDArray[np.float32]:
        """Luma (h, w) in [0, 1], upright, sRGB-coded -> chroma (h', w', 2) as (Cb, Cr) in [-0.5, 0.5], any smaller size of the same view.

        Raises HintsError where it can't follow the hints. The same input gives the same output, always.
        """
        ...


def refuse_hints(name: str, hints: Hints) -> None:
    """For methods that can't follow hints: raises HintsError where there are any."""
    if hints:
        raise HintsError(f"the method {name!r} can't follow hints; leave them out")
