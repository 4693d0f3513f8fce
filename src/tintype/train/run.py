"""A training run: pictures, a system and a config become a folder with everything in it; the same command goes on where it stopped.

The folder: config.yaml as resolved, environment.json, metrics.csv, curves.png, grids/, tensorboard/, skipped.txt,
checkpoints/last.ckpt and best.ckpt. A run goes on from the end of its last whole epoch, to the same numbers.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, WeightAveraging
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor
from torch.utils.data import DataLoader

from tintype.errors import UsageError
from tintype.train import systems
from tintype.train.cache import Pack, pack_of
from tintype.train.config import Config, written
from tintype.train.crops import Crops, Whole, split
from tintype.train.journal import Journal, note_environment
from tintype.train.task import Task
from tintype.train.views import load_classifier, views
from tintype.weights import sha256_of

#: glibc gives every freed activation back to the kernel by default; the page faults then cost ten times the arithmetic.
ALLOCATOR = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "20000000000", "MALLOC_TOP_PAD_": "268435456"}


class Pictures(L.LightningDataModule):
    """Each epoch's crops, and the held-out pictures."""

    def __init__(self, config: Config, train: Pack, rows: Any, held: Pack, held_rows: Any, workers: int) -> None:
        super().__init__()
        self.config, self.train, self.rows, self.held, self.held_rows = config, train, rows, held, held_rows
        self.workers = workers

    def train_dataloader(self) -> DataLoader[Any]:
        assert self.trainer is not None
        epoch = self.trainer.current_epoch
        phase = self.config.phase_of(epoch)
        batch = phase.batch * self.trainer.world_size
        steps = self.config.steps_per_epoch or max(1, len(self.rows) // batch)
        return self._loader(Crops(self.train, self.rows, self.config, phase, epoch, steps * batch), phase.batch)

    def val_dataloader(self) -> DataLoader[Any]:
        assert self.trainer is not None
        phase = self.config.phase_of(self.trainer.current_epoch)
        return self._loader(Whole(self.held, self.held_rows, phase.size), phase.batch)

    def _loader(self, data: Any, batch: int) -> DataLoader[Any]:
        return DataLoader(data, batch, num_workers=self.workers, prefetch_factor=4 if self.workers else None)


def run(
    config: Config,
    data: Sequence[str],
    folder: Path,
    *,
    validation: Sequence[str] = (),
    cache: Path | None = None,
    device: str = "cpu",
    devices: int = 1,
    nodes: int = 1,
    workers: int = 1,
) -> None:
    """Train as `config` says on the places `data` (see train.sources), or go on where the run in `folder` stopped.

    Raises UsageError for what can't be done, before anything is loaded or written, and FloatingPointError where the loss is
    no number any more: the batch is then in the folder.
    """
    system = systems.system(config.system)
    net = systems.network(config)
    cache = cache or folder / "pictures"
    train = pack_of(data, cache / "train", config.short)
    rows, held_rows = split(train, config)
    held = train
    if validation:
        held = pack_of(validation, cache / "validation", config.short)
        rows, held_rows = _all(train), _all(held)[: config.validation_most]
    if config.backbone and system.backbone == "inception-resnet-v2":
        train, held = _seen(config.backbone, cache, train, held, device)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(written(config))
    note_environment(folder)
    task = system.task(config, net, train, rows)
    if device == "cpu":
        task.to(memory_format=torch.channels_last)
    trainer = _trainer(config, folder, device, devices, nodes)
    last = _last(folder / "checkpoints" / "last.ckpt", task)
    pictures = Pictures(config, train, rows, held, held_rows, workers)
    trainer.fit(task, datamodule=pictures, ckpt_path=last, weights_only=True)


def _seen(weights: str, cache: Path, train: Pack, held: Pack, device: str) -> tuple[Pack, Pack]:
    """Both packs with the classifier's views."""
    classifier, key = load_classifier(Path(weights)), sha256_of(Path(weights))
    seen = replace(train, views=views(train, classifier, key, cache / "train", device))
    if held is train:
        return seen, seen
    return seen, replace(held, views=views(held, classifier, key, cache / "validation", device))


def _last(path: Path, task: Task) -> Path | None:
    """The checkpoint to go on from, if there is one. Raises UsageError for one that is damaged or of another network."""
    if not path.exists():
        return None
    try:
        state = torch.load(path, "cpu", weights_only=True, mmap=True)
        system, weights = state["system"], state["state_dict"]
    except Exception as error:  # whatever a damaged file makes of the reader
        cause = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UsageError(f"{path}: is damaged or no checkpoint of Tintype; delete it to begin anew ({cause})") from None
    mine = {k: v.shape for k, v in task.state_dict().items()}
    if system != task.config.system or {k: v.shape for k, v in weights.items()} != mine:
        raise UsageError(f"{path}: is of another network ({system}); choose another folder for this run")
    return path


def _all(pack: Pack) -> Any:
    return torch.arange(len(pack)).numpy()


def _trainer(config: Config, folder: Path, device: str, devices: int, nodes: int) -> L.Trainer:
    many = devices * nodes > 1
    adversarial = config.system.endswith("-gan")
    callbacks: list[L.Callback] = [
        ModelCheckpoint(
            folder / "checkpoints",
            "best",
            monitor="validation/loss",
            save_last=True,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        ),
        Journal(folder),
        Guard(folder),
    ]
    if config.stop_after:
        callbacks.append(EarlyStopping("validation/loss", patience=config.stop_after, check_finite=False))
    if config.ema:
        callbacks.append(WeightAveraging(use_buffers=True, avg_fn=_average(config.ema)))
    return L.Trainer(
        accelerator="gpu" if device == "cuda" else "cpu",
        devices=devices,
        num_nodes=nodes,
        strategy=("ddp_find_unused_parameters_true" if adversarial else "ddp") if many else "auto",
        precision=_precision(config, device),
        max_epochs=config.epochs,
        gradient_clip_val=None if adversarial else config.clip or None,
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
        logger=TensorBoardLogger(folder, "tensorboard", ""),
        callbacks=callbacks,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _precision(config: Config, device: str) -> Any:
    """bfloat16 where asked for, or where the device computes in it itself: a processor that imitates it is four times slower than in float32."""
    able = device == "cuda" or torch.cpu._is_avx512_bf16_supported()
    return "bf16-mixed" if config.precision == "bfloat16" or (config.precision == "auto" and able) else "32-true"


def _average(decay: float) -> Any:
    """A moving average whose memory grows with the run: a young one would still remember the random start."""

    def blend(average: Tensor, now: Tensor, count: Tensor) -> Tensor:
        if not now.is_floating_point():  # batch normalization counts its batches
            return now
        return torch.lerp(average, now, 1 - min(decay, (1 + int(count)) / (10 + int(count))))

    return blend


class Guard(L.Callback):
    """Stops a run whose loss is no number any more, and keeps the batch that did it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_batch_end(self, trainer: L.Trainer, task: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        loss = task.latest
        if not torch.isfinite(loss):
            torch.save(batch, self.folder / "bad-batch.pt")
            raise FloatingPointError(
                f"the loss is {float(loss)} in epoch {trainer.current_epoch}, step {batch_idx}; the batch is in {self.folder / 'bad-batch.pt'}"
            )


def with_allocator(argv: list[str]) -> None:
    """Start this process again under ALLOCATOR, unless it already runs so (glibc reads these only at start)."""
    if os.environ.get("MALLOC_MMAP_MAX_") != ALLOCATOR["MALLOC_MMAP_MAX_"]:
        os.execvpe(argv[0], argv, {**os.environ, **ALLOCATOR})
