"""A training run of `tint` as a YAML file says it: the network, what its losses count, and the schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
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

    `start`: an exported network (.onnx) whose weights the run begins with, relative to the YAML file; "" for random ones. What it lacks
    begins by adding nothing.
    """

    net: str
    seed: int
    classes: int
    topics: bool
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    up_depths: tuple[int, ...]
    attention: tuple[int, int]
    queries: int
    vivid: int
    ema: float
    class_weight: float
    topic_weight: float
    teacher_weight: float
    vivid_weight: float
    feature_weight: float
    colour_weight: float
    critic_weight: float
    frozen: bool  #: only the vivid head learns
    optimizer: Literal["adamw", "muon"]
    weight_decay: float
    hints: float
    spoil: float
    balance: float
    learning_rate: float
    phases: tuple[Phase, ...]
    start: str = ""
    without: tuple[str, ...] = ()  #: sources whose pictures are left out

    @property
    def steps(self) -> int:
        """Steps of all phases together."""
        return sum(p.steps for p in self.phases)

    @classmethod
    def read(cls, path: Path) -> Config:
        """The config in the YAML file `path`. Raises UsageError, which names file, line and key."""
        config = read_as(path, cls)
        return replace(config, start=str(path.parent / config.start)) if config.start else config


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
