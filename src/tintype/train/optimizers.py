"""Optimizers and schedules by name, as configs say them, and the memory of moving averages."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import lr_scheduler

from tintype.train.config import Optimizer, Schedule

#: A one-cycle begins at this share of its peak: one in so many.
_START = 25.0


def grouped(net: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """A network's trainable parameters as an optimizer takes them. Weight decay is for kernels only: biases and norms have no size to keep small."""
    wanted = [p for p in net.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in wanted if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in wanted if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return [g for g in groups if g["params"]]


def grown(decay: float, steps: int) -> float:
    """The decay of a moving average after so many steps: a young one would still remember the random start, so its memory grows with the run."""
    return min(decay, (1 + steps) / (10 + steps))


def optimizer(net: nn.Module, how: Optimizer) -> torch.optim.Optimizer:
    """The optimizer of a network's trainable parameters."""
    groups = grouped(net, how.weight_decay)
    makers: dict[str, Callable[[], torch.optim.Optimizer]] = {
        "adam": lambda: torch.optim.Adam(groups, how.learning_rate, how.betas, how.epsilon),
        "adamw": lambda: torch.optim.AdamW(groups, how.learning_rate, how.betas, how.epsilon),
        "nadam": lambda: torch.optim.NAdam(groups, how.learning_rate, how.betas, how.epsilon),
        "rmsprop": lambda: torch.optim.RMSprop(
            groups, how.learning_rate, how.decay, how.epsilon, momentum=how.momentum
        ),
        "sgd": lambda: torch.optim.SGD(groups, how.learning_rate, how.momentum),
    }
    return makers[how.name]()


def by_step(made: torch.optim.Optimizer, how: Schedule, steps: int) -> lr_scheduler.LRScheduler:
    """The schedule that goes on after every one of `steps` steps. A plateau's own part is `on_plateau`."""
    if how.name == "one-cycle":  # Smith and Topin 2018, the learning rate alone: momentum is the optimizer's to say
        return lr_scheduler.OneCycleLR(
            made,
            made.param_groups[0]["lr"],
            total_steps=steps + 1,
            pct_start=((how.warm_up or 0.3 * steps) + 1) / (steps + 1),  # the peak is a step's, not between two
            cycle_momentum=False,
            div_factor=_START,
            final_div_factor=1 / (_START * how.floor) if how.floor else math.inf,
        )

    def factor(step: int) -> float:
        if step < how.warm_up:
            return (step + 1) / how.warm_up
        if how.name != "cosine":
            return 1.0
        way = min(1.0, (step - how.warm_up) / max(1, steps - how.warm_up))
        return how.floor + (1 - how.floor) * 0.5 * (1 + math.cos(math.pi * way))

    return lr_scheduler.LambdaLR(made, factor)


def on_plateau(made: torch.optim.Optimizer, how: Schedule) -> lr_scheduler.ReduceLROnPlateau:
    """Asked once an epoch with the validation loss; see config.Schedule. `floor` is a learning rate here.

    `patience` counts as in Keras, which R1 was trained with: it is the number of bad epochs, not of those that are borne.
    """
    return lr_scheduler.ReduceLROnPlateau(
        made, factor=how.factor, patience=how.patience - 1, min_lr=how.floor, threshold=0
    )
