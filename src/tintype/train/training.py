"""A training of `tint` as it stands: all that changes from step to step, one step, and how it is kept."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import swa_utils

from tintype.errors import UsageError
from tintype.nets.tint import Tint
from tintype.train import checkpoints, guard, losses
from tintype.train.cache import Pack
from tintype.train.centres import centres
from tintype.train.critic import Critic
from tintype.train.crops import Rows, luma_of, whole
from tintype.train.lesson import Lesson
from tintype.train.muon import AdamWithMuon
from tintype.train.objective import Batch, Objective
from tintype.train.optimizers import grouped, grown
from tintype.train.recipe import Config, build_net, learning_rate
from tintype.train.start import begin_with
from tintype.weights import sha256_of

_LOG = logging.getLogger(__name__)
#: Pictures by which the normalizations of a network that is started with are measured.
_MEASURED = 64
_BETAS = (0.9, 0.98)
#: The critic's learning rate, which never falls, and betas: without memory of where its rival was (Heusel et al. 2017 and others).
_CRITIC_RATE, _CRITIC_BETAS = 4e-4, (0.0, 0.9)


@dataclass
class Training:
    """All that changes while training: the network, its moving average, its helpers in the `objective`, the optimizers, and how many steps were done."""

    config: Config
    net: Tint
    average: Any  # torch's AveragedModel, which has no types
    objective: Objective
    optimizer: torch.optim.Optimizer | AdamWithMuon
    rival: torch.optim.Optimizer | None  # the critic's optimizer
    step: int = 0

    def advance(self, batch: Batch, bad: Path) -> dict[str, float]:
        """One optimizer step; the loss's parts. Raises LossError where the loss is not finite; no weight is changed by it then, and the batch is in the file `bad`."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config, self.step)
        cost = self.objective.cost(batch, self.step)
        guard.check(cost.total, batch, f"step {self.step}", bad)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(cost.total)
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        if self.rival is not None:
            told = self.objective.critic_cost(cost)
            guard.check(told, batch, f"step {self.step}", bad)
            self.rival.zero_grad(set_to_none=True)
            torch.autograd.backward(told)
            self.rival.step()
            cost.parts["critic"] = float(told.detach())
        self.step += 1
        self.average.multi_avg_fn = _moving_average(grown(self.config.ema, self.step))
        self.average.update_parameters(self.net)
        return cost.parts

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all. Raises SaveError."""
        state = {name: each.state_dict() for name, each in self._parts().items()}
        checkpoints.write({**state, "step": self.step}, path)

    def restore(self, path: Path) -> None:
        """Go back to where a checkpoint was written. Raises UsageError for one that is damaged or of another plan."""
        parts = self._parts()
        state = checkpoints.read(path, [*parts, "step"])
        try:
            for name, part in parts.items():
                part.load_state_dict(state[name])
        except (KeyError, ValueError, RuntimeError) as error:
            cause = checkpoints.first_line(error)
            raise UsageError(f"{path}: is of another network; choose another folder for this run ({cause})") from None
        self.step = state["step"]
        self.objective = replace(self.objective, lookup=losses.class_lookup(self.net.get_buffer("centres")))

    def _parts(self) -> dict[str, Any]:
        helpers = {"lesson": self.objective.lesson, "critic": self.objective.critic, "rival": self.rival}
        there = {name: helper for name, helper in helpers.items() if helper is not None}
        return {"net": self.net, "average": self.average, "optimizer": self.optimizer, **there}


def begin(
    config: Config,
    pack: Pack,
    rows: Rows,
    device: str,
    teacher: nn.Module | None,
    tutor: nn.Module | None = None,
    restored: bool = False,
) -> Training:
    """A training at step 0, on the pictures `rows`: random weights by the config's seed and classes from the data, or both as the config's `start` has them.

    One that will be `restored` from a checkpoint, which has both, needs neither. Raises UsageError where the start doesn't fit.
    """
    torch.manual_seed(config.seed)
    given = restored or config.start is not None
    table = torch.zeros(config.classes, 2) if given else centres(pack, rows, config.classes, config.seed)
    net = build_net(config, table, pack.topics)
    if config.start and not restored:
        _start(net, config.start, config, pack, rows)
    net = net.to(device)
    for parameter in net.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    average = swa_utils.AveragedModel(net, use_buffers=True, multi_avg_fn=_moving_average(config.ema))
    _ready(net, config.frozen)
    groups = grouped(net, config.weight_decay)
    lesson = critic = rival = None
    if teacher is not None:
        lesson = Lesson(teacher, config.widths[-1], device)
        if not config.frozen:
            groups.append({"params": list(lesson.parameters()), "weight_decay": 0.0})
    if config.critic_weight:
        critic = Critic(lesson.depths if lesson else ()).to(device)
        rival = torch.optim.AdamW(critic.parameters(), _CRITIC_RATE, _CRITIC_BETAS, weight_decay=0.0)
    made = AdamWithMuon if config.optimizer == "muon" else _adamw
    objective = Objective(config, net, lesson, tutor, critic, losses.class_lookup(net.get_buffer("centres")), device)
    return Training(config, net, average, objective, made(groups, config.learning_rate, _BETAS), rival)


def _start(net: Tint, path: Path, config: Config, pack: Pack, rows: Rows) -> None:
    """Give the network the weights that the file `path` has, and say which it lacks. Raises UsageError where they don't fit, or are not those that are meant."""
    if config.start_sha256 and path.is_file() and sha256_of(path) != config.start_sha256:
        raise UsageError(f"{path}: is not the file that this config starts with, whose sha256 is {config.start_sha256}")
    some = rows[:: max(1, len(rows) // _MEASURED)][:_MEASURED]
    luma = torch.from_numpy(np.stack([luma_of(whole(pack.picture(int(row)), 4 * Tint.multiple)) for row in some]))
    names = {".".join(name.split(".")[:2]) for name in begin_with(net, path, luma[:, None])}
    lacking = sorted(name for name in names if not name.startswith("topic_head"))  # which is never exported
    if lacking:
        _LOG.warning("%s lacks %s, which begin by adding nothing", path, ", ".join(lacking))
    if config.frozen and any(not name.startswith("vivid_head") for name in lacking):
        raise UsageError(f"{path}: lacks {', '.join(lacking)}: a frozen network can't learn them")


def _ready(net: Tint, frozen: bool) -> None:
    """The network, or its vivid head alone, ready to learn."""
    if not frozen:
        net.train()
        return
    assert net.vivid_head is not None  # the config says so
    net.requires_grad_(False).eval()
    net.vivid_head.requires_grad_(True).train()


def _adamw(
    groups: list[dict[str, Any]], learning_rate: float, betas: tuple[float, float]
) -> torch.optim.Optimizer | AdamWithMuon:
    return torch.optim.AdamW(groups, learning_rate, betas, fused=True)


def _moving_average(decay: float) -> Any:
    """How torch's AveragedModel is to blend a step's weights in."""
    make: Any = swa_utils.get_ema_multi_avg_fn
    return make(decay)
