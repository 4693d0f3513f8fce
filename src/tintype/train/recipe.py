"""A training run of `tint` as a YAML file says it: the network, what its losses count, and the schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor

from tintype.nets.tint import Tint
from tintype.train.config import read_as


@dataclass(frozen=True)
class Phase:
    """`steps` optimizer steps on `batch` crops of `size` x `size` pixels, each a share in `area` of its picture's square."""

    steps: int
    size: int
    batch: int
    area: tuple[float, float]


@dataclass(frozen=True)
class Config:
    """A training run, as the YAML file says it. See configs/tint.yaml and configs/tint/.

    `start`: an exported network (.onnx) whose weights the run begins with, instead of random ones.
    What it lacks begins by adding nothing. `start_sha256`: where given, the file must be that one.
    """

    net: str
    seed: int
    classes: int
    topics: bool
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    up_depths: tuple[int, ...]
    attention: tuple[int, int]
    queries: int  #: colour queries
    vivid: int  #: residual blocks of the vivid head at each size; 0: no such head
    ema: float  #: decay of the weights' moving average
    class_weight: float  #: cross-entropy of the chroma classes; what the mean's squared error counts is 1
    topic_weight: float  #: cross-entropy of the picture's own class
    teacher_weight: float  #: a teacher's features, told from luma
    vivid_weight: float  #: the vivid head's squared error
    feature_weight: float  #: a teacher's features of the picture in the vivid head's colours
    colour_weight: float  #: the same colours' mean strength
    critic_weight: float  #: and what a critic says of them
    frozen: bool  #: only the vivid head learns
    optimizer: Literal["adamw", "muon"]
    weight_decay: float
    hints: float  #: share of the pictures with hints; 0: the network takes none
    spoil: float  #: share of the inputs that are aged as prints are
    balance: float  #: pictures of a source are drawn with its size to the power 1 - balance
    learning_rate: float
    phases: tuple[Phase, ...]
    start: Path | None = None
    start_sha256: str = ""
    without: tuple[str, ...] = ()  #: sources whose pictures are left out
    whole_weight: float = 0.0  #: a teacher's features of the picture in the vivid head's colours, as averages over it
    lighten: float = 1.0  #: the vivid head's teacher sees pictures at a random power from this to 1, so that colours in the dark count
    tutor_weight: float = 0.0  #: squared error against the mean that a tutor tells

    def __post_init__(self) -> None:
        if (len(self.widths), len(self.depths), len(self.up_depths)) != (5, 4, 3):
            raise ValueError("expected five widths, four depths and three up_depths")
        for name in ("hints", "spoil", "balance"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected a share from 0 to 1")
        if not 0 < self.lighten <= 1:
            raise ValueError(f"lighten is {self.lighten}; expected a power above 0, 1 for pictures as they are")
        weights = ("vivid_weight", "feature_weight", "whole_weight", "colour_weight", "critic_weight")
        asked = [n for n in weights if getattr(self, n)]
        if not self.vivid and (asked or self.frozen):
            raise ValueError(f"{', '.join(asked) or 'frozen'} is for a vivid head: give the network one (vivid: 1)")
        if self.frozen and not self.start:
            raise ValueError("a frozen network learns nothing but its vivid head: name one to start with")

    @property
    def steps(self) -> int:
        """Steps of all phases together."""
        return sum(p.steps for p in self.phases)

    @classmethod
    def read(cls, path: Path) -> Config:
        """The config in the YAML file `path`. Raises UsageError, which names file, line and key."""
        return read_as(path, cls)


def build_net(config: Config, table: Tensor, topics: int) -> Tint:
    """The network that `config` describes, with classes `table` (K, 2) and `topics` picture classes."""
    return Tint(
        table,
        config.widths,
        config.depths,
        config.up_depths,
        config.attention,
        config.queries,
        config.hints > 0,
        config.vivid,
        topics if config.topics else 0,
    )


def learning_rate(config: Config, step: int) -> float:
    """Warm-up over 500 steps, or a tenth of the run where that is less, then a cosine to a hundredth of the peak."""
    warm_up = min(500, config.steps // 10)
    if step < warm_up:
        return config.learning_rate * (step + 1) / warm_up
    t = (step - warm_up) / max(1, config.steps - warm_up)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * t)))
