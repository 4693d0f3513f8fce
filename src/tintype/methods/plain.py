"""Two methods without a network. They are the lines that any other must beat, and the proof that a method is no more than its shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tintype.guidance.hints import Hints
from tintype.methods.method import InputRules, Options, refuse_hints


@dataclass(frozen=True)
class Grey:
    """No colour at all."""

    name: str = "grey"
    sha256: str = ""
    rules: InputRules = InputRules()

    def chroma(self, luma: NDArray[np.float32], hints: Hints, options: Options) -> NDArray[np.float32]:
        """Zeros (1, 1, 2)."""
        refuse_hints(self.name, hints)
        return np.zeros((1, 1, 2), np.float32)


@dataclass(frozen=True)
class Wash:
    """One constant colour, by default the faint warm tint that suits most photographs best."""

    tint: tuple[float, float] = (-0.018, 0.016)
    name: str = "wash"
    sha256: str = ""
    rules: InputRules = InputRules()

    def chroma(self, luma: NDArray[np.float32], hints: Hints, options: Options) -> NDArray[np.float32]:
        """The tint, (1, 1, 2)."""
        refuse_hints(self.name, hints)
        return np.array(self.tint, np.float32).reshape(1, 1, 2)
