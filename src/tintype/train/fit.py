"""Train `tint`: data -> crops -> losses -> a run folder with config, log and checkpoint.

A run folder holds `config.yaml` (as resolved), `log.csv`, and `checkpoint.pt` (weights, averaged weights, optimizers,
what helps in training, step), written whole or not at all; starting the same command again goes on from it.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from torch.utils.data import Subset

from tintype.errors import UsageError, suggestion
from tintype.picture.atomic import replacing
from tintype.train.cache import Pack, pack_of
from tintype.train.config import written
from tintype.train.crops import Crops, Cut, Rows
from tintype.train.lesson import load_teacher, load_tutor
from tintype.train.loading import alive, loader
from tintype.train.objective import Batch
from tintype.train.recipe import Config
from tintype.train.training import begin

#: Pictures are kept with at most this short side, in pixels.
SHORT = 168
#: Crops change their ratio by up to a third either way: part of the data was squeezed to a square at its home.
STRETCH = 0.29


def fit(
    config: Config,
    data: Sequence[str],
    run: Path,
    cache: Path,
    device: str = "cpu",
    workers: int = 1,
    teacher: Path | None = None,
    tutor: Path | None = None,
) -> None:
    """Train as `config` says on the places `data` (see train.sources), decoded into `cache`, or go on where the run folder `run` stopped.

    Raises LossError where the loss is not finite; the batch is then in the run folder. Raises UsageError where the config
    asks for a teacher or tutor and none is given, and for places and checkpoints that can't be used; SaveError where the folder can't be written; TintypeError where a process that reads pictures is killed.
    """
    helpers = (
        load_teacher(config.teacher_weight + config.feature_weight + config.whole_weight, teacher, device),
        load_tutor(config.tutor_weight, tutor, device),
    )
    pack = pack_of(data, cache, SHORT)
    checkpoint = run / "checkpoint.pt"
    training = begin(config, pack, rows_of(config, pack), device, *helpers, restored=checkpoint.exists())
    if checkpoint.exists():
        training.restore(checkpoint)
    with replacing(run / "config.yaml", overwrite=True) as part:
        part.write_text(written(config))
    spent = _cut(run / "log.csv", training.step)
    began, shown = time.time() - spent, dict[str, float]()
    with alive(), (run / "log.csv").open("a", newline="") as file:
        log = csv.writer(file)
        for batch in batches(config, pack, training.step, workers):
            parts = training.advance(batch, run / "bad-batch.pt")
            shown = {k: 0.98 * shown.get(k, v) + 0.02 * v for k, v in parts.items()}
            if training.step % 100 == 0:
                if not file.tell():
                    log.writerow(["step", "seconds", *shown])
                log.writerow([training.step, round(time.time() - began), *(f"{v:.4f}" for v in shown.values())])
                file.flush()
            if training.step % 500 == 0 or training.step == config.steps:
                training.save(checkpoint)


def _cut(log: Path, step: int) -> float:
    """Leave out the log's rows of steps after `step`, which are made once more; the seconds that the rest took."""
    seconds = 0.0
    if log.exists():
        lines = [line for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        kept = [line for line in lines if line.startswith("step,") or int(line.partition(",")[0]) <= step]
        with replacing(log, overwrite=True) as part:
            part.write_text("".join(kept))
        seconds = max((float(line.split(",")[1]) for line in kept if not line.startswith("step,")), default=0.0)
    return seconds


def batches(config: Config, pack: Pack, step: int, workers: int) -> Iterator[Batch]:
    """Batches from `step` to the end of the schedule, phase after phase. A resumed run sees the crops that it would have seen."""
    before = 0
    for number, phase in enumerate(config.phases):
        done = max(0, step - before)
        if done < phase.steps:
            crops = _crops(config, pack, number)
            rest = Subset(crops, range(done * phase.batch, len(crops)))
            yield from loader(rest, phase.batch, workers)
        before += phase.steps


def _crops(config: Config, pack: Pack, number: int) -> Crops:
    """Those of a whole phase, the `number`th."""
    phase = config.phases[number]
    cut = Cut(phase.size, phase.area, STRETCH, config.spoil, True, config.balance, config.seed)
    return Crops(pack, rows_of(config, pack), cut, number, phase.steps * phase.batch)


def rows_of(config: Config, pack: Pack) -> Rows:
    """The pictures that the run learns from. Raises UsageError for a source that isn't there to be left out."""
    for name in config.without:
        if name not in pack.names:
            raise UsageError(f"there is no source {name!r} to leave out; {suggestion(name, pack.names)}")
    left_out = [pack.names.index(name) for name in config.without]
    rows = np.flatnonzero(~np.isin(pack.source, left_out))
    if not len(rows):
        raise UsageError("no picture is left: `without` names all sources")
    return rows
