"""Train `tint`: data -> crops -> two losses -> a run folder with config, log and checkpoint.

A run folder holds `config.yaml` (as resolved), `log.csv`, and `checkpoint.pt` (weights, averaged weights, optimizer,
step), written whole or not at all; starting the same command again goes on from it.
"""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import swa_utils
from torch.utils.data import DataLoader, Subset

from tintype.errors import UsageError
from tintype.nets.tint import CHROMA_SCALE, Tint
from tintype.picture.atomic import replacing
from tintype.train import checkpoints, guard, losses
from tintype.train.cache import Pack, pack_of
from tintype.train.centres import centres
from tintype.train.config import read_as, written
from tintype.train.crops import Crops, Cut, everything
from tintype.train.devices import has_bfloat16
from tintype.train.lesson import Lesson, load_teacher
from tintype.train.optimizers import grouped, grown

#: Pictures are kept with at most this short side, in pixels.
SHORT = 168
#: Crops change their ratio by up to a third either way: part of the data was squeezed to a square at its home.
STRETCH = 0.29

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Phase:
    """`steps` optimizer steps on `batch` crops of `size` x `size` pixels, each a share in `area` of its picture's square."""

    steps: int
    size: int
    batch: int
    area: tuple[float, float]


@dataclass(frozen=True)
class Config:
    """A training run, as the YAML file says it. See configs/tint.yaml."""

    net: str
    seed: int
    classes: int
    topics: bool
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    up_depths: tuple[int, ...]
    attention: int
    ema: float
    class_weight: float
    topic_weight: float
    teacher_weight: float
    weight_decay: float
    spoil: float
    balance: float
    learning_rate: float
    phases: tuple[Phase, ...]

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
    return Tint(table, config.widths, config.depths, config.up_depths, config.attention, topics if config.topics else 0)


def learning_rate(config: Config, step: int) -> float:
    """Warm-up over 500 steps, then a cosine to a hundredth of the peak."""
    if step < 500:
        return config.learning_rate * (step + 1) / 500
    t = (step - 500) / max(1, config.steps - 500)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * t)))


def loss_of(
    net: Tint, lesson: Lesson | None, batch: Batch, lookup: Tensor, config: Config, step: int, device: str
) -> tuple[Tensor, dict[str, float]]:
    """The training loss of one batch and its parts.

    The class loss looks at every other row and column of the output only, shifted from step to step: a quarter of the
    cost of the log-softmax over all classes, and the same gradient on average.
    """
    luma, bytes_, topic = (batch[k].to(device, non_blocking=True) for k in ("luma", "rgb", "topic"))
    rgb = bytes_.float() / 255
    true_luma, chroma = losses.split(F.avg_pool2d(rgb, Tint.stride))
    with torch.autocast(device, torch.bfloat16, enabled=has_bfloat16(device)):
        features, deepest = net.trunk(luma.contiguous(memory_format=torch.channels_last))
        mean = net.mean_head(features).float() * CHROMA_SCALE
        hidden = net.class_head[:-1](features)
        dy, dx = step % 2, step // 2 % 2
        logits = net.class_head[-1](hidden[:, :, dy::2, dx::2])
        topics = net.topic_head(deepest.mean((2, 3))) if net.topic_head is not None else None
        taught = lesson(deepest, rgb) if lesson is not None else None
    regression = losses.mean_loss(mean, chroma, true_luma)
    target = losses.class_of(chroma[:, :, dy::2, dx::2], lookup)
    classes = F.cross_entropy(logits.float(), target)
    total = regression + config.class_weight * classes
    parts = {"mean": regression.item(), "classes": classes.item()}
    if topics is not None:
        auxiliary = F.cross_entropy(topics.float(), topic, label_smoothing=0.1)
        total = total + config.topic_weight * auxiliary
        parts["topics"] = auxiliary.item()
    if taught is not None:
        total = total + config.teacher_weight * taught
        parts["teacher"] = taught.item()
    return total, parts


def batches(config: Config, pack: Pack, step: int, workers: int) -> Iterator[Batch]:
    """Batches from `step` to the end of the schedule, phase after phase. A resumed run sees the crops that it would have seen."""
    rows, before = everything(pack), 0
    for number, phase in enumerate(config.phases):
        done = max(0, step - before)
        if done < phase.steps:
            cut = Cut(phase.size, phase.area, STRETCH, config.spoil, True, config.balance, config.seed)
            crops = Crops(pack, rows, cut, number, phase.steps * phase.batch)
            rest = Subset(crops, range(done * phase.batch, len(crops)))
            yield from DataLoader(rest, phase.batch, num_workers=workers, prefetch_factor=4 if workers else None)
        before += phase.steps


@dataclass
class Training:
    """All that changes while training: the network, its moving average, the optimizer, and how many steps were done."""

    config: Config
    net: Tint
    average: Any  # torch's AveragedModel, which has no types
    optimizer: torch.optim.Optimizer
    lesson: Lesson | None
    step: int = 0

    def advance(self, batch: Batch, lookup: Tensor, device: str, bad: Path) -> dict[str, float]:
        """One optimizer step; the loss's parts. Raises LossError where the loss is not finite; nothing is changed then, and the batch is in the file `bad`."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config, self.step)
        loss, parts = loss_of(self.net, self.lesson, batch, lookup, self.config, self.step, device)
        guard.check(loss, batch, f"step {self.step}", bad)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        self.average.multi_avg_fn = _moving_average(grown(self.config.ema, self.step))
        self.average.update_parameters(self.net)
        return parts

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

    def _parts(self) -> dict[str, Any]:
        parts = {"net": self.net, "average": self.average, "optimizer": self.optimizer}
        return parts if self.lesson is None else {**parts, "lesson": self.lesson}


def begin(config: Config, pack: Pack, device: str, teacher: nn.Module | None) -> Training:
    """A training at step 0: random weights by the config's seed, classes from the data."""
    torch.manual_seed(config.seed)
    table = centres(pack, config.classes, config.seed)
    net = build_net(config, table, pack.topics).to(device)
    for parameter in net.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    average = swa_utils.AveragedModel(net, use_buffers=True, multi_avg_fn=_moving_average(config.ema))
    groups = grouped(net, config.weight_decay)
    lesson = None
    if teacher is not None:
        lesson = Lesson(teacher, config.widths[-1]).to(device)
        groups.append({"params": list(lesson.parameters()), "weight_decay": 0.0})
    return Training(config, net, average, torch.optim.AdamW(groups, betas=(0.9, 0.98)), lesson)


def _moving_average(decay: float) -> Any:
    """How torch's AveragedModel is to blend a step's weights in."""
    make: Any = swa_utils.get_ema_multi_avg_fn
    return make(decay)


def fit(
    config: Config,
    data: Sequence[str],
    run: Path,
    cache: Path,
    device: str = "cpu",
    workers: int = 1,
    teacher: Path | None = None,
) -> None:
    """Train as `config` says on the places `data` (see train.sources), decoded into `cache`, or go on where the run folder `run` stopped.

    Raises LossError where the loss is not finite; the batch is then in the run folder. Raises UsageError where the config
    asks for a teacher and none is given, and for places and checkpoints that can't be used; SaveError where the folder can't be written.
    """
    adviser = load_teacher(config.teacher_weight, teacher)
    pack = pack_of(data, cache, SHORT)
    training = begin(config, pack, device, adviser)
    checkpoint = run / "checkpoint.pt"
    if checkpoint.exists():
        training.restore(checkpoint)
    with replacing(run / "config.yaml", overwrite=True) as part:
        part.write_text(written(config))
    _cut(run / "log.csv", training.step)
    lookup = losses.class_lookup(training.net.get_buffer("centres"))
    training.net.train()
    began, shown = time.time(), dict[str, float]()
    with (run / "log.csv").open("a", newline="") as file:
        log = csv.writer(file)
        for batch in batches(config, pack, training.step, workers):
            parts = training.advance(batch, lookup, device, run / "bad-batch.pt")
            shown = {k: 0.98 * shown.get(k, v) + 0.02 * v for k, v in parts.items()}
            if training.step % 100 == 0:
                if not file.tell():
                    log.writerow(["step", "seconds", *shown])
                log.writerow([training.step, round(time.time() - began), *(f"{v:.4f}" for v in shown.values())])
                file.flush()
            if training.step % 500 == 0 or training.step == config.steps:
                training.save(checkpoint)


def _cut(log: Path, step: int) -> None:
    """Leave out the log's rows of steps after `step`, which are made once more."""
    if log.exists():
        lines = [line for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        kept = [line for line in lines if line.startswith("step,") or int(line.partition(",")[0]) <= step]
        with replacing(log, overwrite=True) as part:
            part.write_text("".join(kept))
