"""Train `tint`: data -> crops -> two losses -> a run folder with config, log and checkpoint.

A run folder holds `config.yaml` (as resolved), `log.csv`, and `checkpoint.pt` (weights, averaged weights, optimizer,
step), written whole or not at all; starting the same command again goes on from it.
"""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import swa_utils
from torch.utils.data import DataLoader

from tintype.errors import UsageError
from tintype.nets.tint import CHROMA_SCALE, Tint
from tintype.train import data, losses

#: glibc gives every freed activation back to the kernel by default; the page faults then cost ten times the arithmetic.
ALLOCATOR = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "20000000000", "MALLOC_TOP_PAD_": "268435456"}


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
    learning_rate: float
    phases: tuple[Phase, ...]

    @property
    def steps(self) -> int:
        """Steps of all phases together."""
        return sum(p.steps for p in self.phases)

    @classmethod
    def read(cls, path: Path) -> Config:
        """The config in the YAML file `path`. Raises ValueError for a key that is unknown or missing."""
        raw: Any = yaml.safe_load(path.read_text())
        fields = set(cls.__dataclass_fields__)
        if set(raw) != fields:
            raise ValueError(
                f"{path}: unknown keys {sorted(set(raw) - fields)}, missing keys {sorted(fields - set(raw))}"
            )
        phases = tuple(Phase(**{**p, "area": tuple(p["area"])}) for p in raw.pop("phases"))
        values: Any = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}
        return cls(**values, phases=phases)


def centres(pack: data.Pack, count: int, seed: int) -> Tensor:
    """`count` chroma classes (count, 2): k-means over the data's chroma histogram, counts to the power 0.4 so that rare colours get classes too."""
    rng = np.random.default_rng(seed)
    some = rng.choice(len(pack.index), min(3000, len(pack.index)), replace=False)
    rgb = np.concatenate([pack.picture(int(i))[::4, ::4].reshape(-1, 3) for i in some]).astype(np.float32) / 255
    _, chroma = losses.split(torch.from_numpy(rgb).T[None, :, :, None])
    points = chroma[0, :, :, 0].T.numpy()
    histogram, xs, ys = np.histogram2d(points[:, 0], points[:, 1], bins=128, range=[[-0.5, 0.5]] * 2)
    x, y = np.nonzero(histogram)
    spots = torch.from_numpy(np.stack([(xs[x] + xs[x + 1]) / 2, (ys[y] + ys[y + 1]) / 2], 1)).float()
    weight = torch.from_numpy(histogram[x, y] ** 0.4).float()
    chance = histogram[x, y] ** 0.4
    means = spots[torch.from_numpy(rng.choice(len(spots), count, replace=False, p=chance / chance.sum()))]
    for _ in range(60):
        nearest = torch.cdist(spots, means).argmin(1)
        total = torch.zeros(count).index_add_(0, nearest, weight)
        means = torch.where(
            total[:, None] > 0,
            torch.zeros(count, 2).index_add_(0, nearest, spots * weight[:, None]) / total.clamp_min(1e-9)[:, None],
            means,
        )
    return means


def build_net(config: Config, table: Tensor, topics: int) -> Tint:
    """The network that `config` describes, with classes `table` (K, 2) and `topics` picture classes."""
    return Tint(table, config.widths, config.depths, config.up_depths, config.attention, topics if config.topics else 0)


def learning_rate(config: Config, step: int) -> float:
    """Warm-up over 500 steps, then a cosine to a hundredth of the peak."""
    if step < 500:
        return config.learning_rate * (step + 1) / 500
    t = (step - 500) / max(1, config.steps - 500)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + float(np.cos(np.pi * t))))


class Lesson(nn.Module):
    """A teacher's features to be told from the student's deepest ones: (N, w32, H/32, W/32) -> (N, C, H/32, W/32).

    A classifier that has seen a million labelled pictures in colour says what is where; the trunk learns to say the same
    from luma alone (Romero et al. 2015, FitNets). Teacher and lesson are for training only; neither is exported.
    """

    def __init__(self, teacher: nn.Module, width: int) -> None:
        super().__init__()
        self.teach = [teacher]  # in a list, so that it is no part of the checkpoint
        with torch.no_grad():
            channels = teacher(torch.zeros(1, 3, 64, 64)).shape[1]
        self.answer = nn.Conv2d(width, channels, 1)
        self.standard = nn.BatchNorm2d(channels, affine=False)

    def forward(self, deepest: Tensor, rgb: Tensor) -> Tensor:
        """Mean squared error between answer and the teacher's features of `rgb` (N, 3, H, W) in [0, 1], which are standardized: 1 is ignorance."""
        with torch.no_grad():
            wanted = self.standard(self.teach[0](rgb).float())
        return F.mse_loss(self.answer(deepest).float(), wanted)


def loss_of(
    net: Tint, lesson: Lesson | None, batch: list[Tensor], lookup: Tensor, config: Config, step: int, device: str
) -> tuple[Tensor, dict[str, float]]:
    """The training loss of one batch and its parts.

    The class loss looks at every other row and column of the output only, shifted from step to step: a quarter of the
    cost of the log-softmax over all classes, and the same gradient on average.
    """
    luma, bytes_, topic = (t.to(device, non_blocking=True) for t in batch)
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


def has_bfloat16(device: str) -> bool:
    """Whether `device` computes in bfloat16 itself; a processor that only imitates it is four times slower than in float32."""
    return device != "cpu" or torch.cpu._is_avx512_bf16_supported()


def batches(config: Config, pack: data.Pack, step: int, workers: int) -> Iterator[list[Tensor]]:
    """Batches from `step` to the end of the schedule, phase after phase. A resumed run draws new crops, not the old ones again."""
    before = 0
    for number, phase in enumerate(config.phases):
        todo = before + phase.steps - max(step, before)
        if todo > 0:
            seed = config.seed + 1000 * number + step
            crops = data.Crops(pack, phase.size, phase.area, config.spoil, seed)
            loader = iter(DataLoader(crops, phase.batch, num_workers=workers, prefetch_factor=4 if workers else None))
            for _ in range(todo):
                yield next(loader)
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

    def advance(self, batch: list[Tensor], lookup: Tensor, device: str) -> dict[str, float]:
        """One optimizer step; the loss's parts. Raises FloatingPointError where the loss is not finite; nothing is changed then."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config, self.step)
        loss, parts = loss_of(self.net, self.lesson, batch, lookup, self.config, self.step, device)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss.item()} at step {self.step}")
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        # A young average would still remember the random start, so its memory grows with the run.
        self.average.multi_avg_fn = _moving_average(min(self.config.ema, (1 + self.step) / (10 + self.step)))
        self.average.update_parameters(self.net)
        return parts

    def save(self, path: Path) -> None:
        """Write a checkpoint whole or not at all."""
        part = path.with_suffix(".part")
        state = {name: each.state_dict() for name, each in self._parts().items()}
        torch.save({**state, "step": self.step}, part)
        part.replace(path)

    def restore(self, path: Path) -> None:
        """Go back to where a checkpoint was written."""
        state = torch.load(path, weights_only=True)
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.step = state["step"]

    def _parts(self) -> dict[str, Any]:
        parts = {"net": self.net, "average": self.average, "optimizer": self.optimizer}
        return parts if self.lesson is None else {**parts, "lesson": self.lesson}


def begin(config: Config, pack: data.Pack, device: str, teacher: nn.Module | None) -> Training:
    """A training at step 0: random weights by the config's seed, classes from the data."""
    torch.manual_seed(config.seed)
    table = centres(pack, config.classes, config.seed)
    net = build_net(config, table, pack.topics).to(device)
    for parameter in net.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    average = swa_utils.AveragedModel(net, use_buffers=True, multi_avg_fn=_moving_average(config.ema))
    groups = [
        {"params": [p for p in net.parameters() if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in net.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    lesson = None
    if teacher is not None:
        lesson = Lesson(teacher, config.widths[-1]).to(device)
        groups.append({"params": list(lesson.parameters()), "weight_decay": 0.0})
    return Training(config, net, average, torch.optim.AdamW(groups, betas=(0.9, 0.98)), lesson)


def _moving_average(decay: float) -> Any:
    """How torch's AveragedModel is to blend a step's weights in."""
    make: Any = swa_utils.get_ema_multi_avg_fn
    return make(decay)


def load_teacher(config: Config, path: Path | None) -> nn.Module | None:
    """The teacher that `config` asks for: a TorchScript file that maps RGB (N, 3, H, W) in [0, 1] to features (N, C, H/32, W/32).

    Raises UsageError where it asks for one and none is named.
    """
    if not config.teacher_weight:
        return None
    if path is None:
        raise UsageError(
            "this config has a teacher_weight: name the teacher's file (--teacher), or set teacher_weight to 0"
        )
    teacher: nn.Module = torch.jit.load(path)  # type: ignore[no-untyped-call]
    return teacher.eval()


def fit(
    config: Config,
    packs: list[Path],
    run: Path,
    cache: Path,
    device: str = "cpu",
    workers: int = 1,
    teacher: Path | None = None,
) -> None:
    """Train as `config` says on the Parquet files `packs`, or go on where the run folder `run` stopped.

    Raises FloatingPointError where the loss is not finite; the batch is then in the run folder. Raises UsageError where
    the config asks for a teacher and none is given.
    """
    adviser = load_teacher(config, teacher)
    data.build(packs, cache)
    pack = data.load(cache)
    run.mkdir(parents=True, exist_ok=True)
    (run / "config.yaml").write_text(yaml.safe_dump({**vars(config), "phases": [vars(p) for p in config.phases]}))
    training = begin(config, pack, device, adviser)
    checkpoint = run / "checkpoint.pt"
    if checkpoint.exists():
        training.restore(checkpoint)
    lookup = losses.class_lookup(training.net.get_buffer("centres"))
    training.net.train()
    began, shown = time.time(), dict[str, float]()
    with (run / "log.csv").open("a", newline="") as file:
        log = csv.writer(file)
        for batch in batches(config, pack, training.step, workers):
            try:
                parts = training.advance(batch, lookup, device)
            except FloatingPointError as error:
                torch.save(batch, run / "bad-batch.pt")
                raise FloatingPointError(f"{error}; the batch is in {run / 'bad-batch.pt'}") from None
            shown = {k: 0.98 * shown.get(k, v) + 0.02 * v for k, v in parts.items()}
            if training.step % 100 == 0:
                log.writerow([training.step, round(time.time() - began), *(f"{v:.4f}" for v in shown.values())])
                file.flush()
            if training.step % 500 == 0 or training.step == config.steps:
                training.save(checkpoint)


def with_allocator(argv: list[str]) -> None:
    """Start this process again under ALLOCATOR, unless it already runs so (glibc reads these only at start)."""
    if os.environ.get("MALLOC_MMAP_MAX_") != ALLOCATOR["MALLOC_MMAP_MAX_"]:
        os.execvpe(argv[0], argv, {**os.environ, **ALLOCATOR})
