"""A training run: pictures, a system and a config become a folder with everything in it; the same command goes on where it stopped.

The folder: config.yaml as resolved, environment.json, metrics.csv, curves.png, grids/, tensorboard/, skipped.txt,
checkpoints/last.ckpt and best.ckpt. A run goes on from the end of its last whole epoch, to the same numbers.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning as L
import torch
from filelock import FileLock
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, WeightAveraging
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler

from tintype.errors import SaveError, TintypeError, UsageError
from tintype.train import checkpoints, systems
from tintype.train.cache import Pack, pack_of
from tintype.train.config import Config, Phase, written
from tintype.train.crops import Crops, Cut, Rows, Whole, everything, split
from tintype.train.guard import Guard
from tintype.train.journal import Journal, note_environment
from tintype.train.quiet import quiet
from tintype.train.task import Task
from tintype.train.views import load_classifier, views
from tintype.weights import named, sha256_of

#: No room on the disk, in the user's share of it, in a file.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True)
class Pictures:
    """What a run trains on: the pictures `rows` of `train`; and what it validates on: `held_rows` of `held`."""

    train: Pack
    rows: Rows
    held: Pack
    held_rows: Rows


@dataclass(frozen=True)
class Hardware:
    """Where a run computes: "cpu" or "cuda", how many `devices` on each of `nodes` machines, and `workers` that cut crops for each."""

    device: str = "cpu"
    devices: int = 1
    nodes: int = 1
    workers: int = 1

    @property
    def processes(self) -> int:
        """That train together; each takes a batch of its own in every step."""
        return self.devices * self.nodes


class Loaders(L.LightningDataModule):
    """Each epoch's crops, and the held-out pictures."""

    def __init__(self, config: Config, pictures: Pictures, hardware: Hardware) -> None:
        super().__init__()
        self.config, self.pictures, self.hardware = config, pictures, hardware

    def train_dataloader(self) -> DataLoader[Any]:
        config, phase, found = self.config, self._phase(), self.pictures
        cut = Cut(phase.size, phase.area, phase.stretch, config.spoil, config.flip, config.balance, config.seed)
        steps = config.steps_of(phase, len(found.rows), self.hardware.processes)
        count = steps * phase.batch * self.hardware.processes
        return self._loader(Crops(found.train, found.rows, cut, self._epoch(), count), phase)

    def val_dataloader(self) -> DataLoader[Any]:
        phase = self._phase()
        return self._loader(Whole(self.pictures.held, self.pictures.held_rows, phase.size), phase)

    def _epoch(self) -> int:
        assert self.trainer is not None
        return self.trainer.current_epoch

    def _phase(self) -> Phase:
        return self.config.phase_of(self._epoch())

    def _loader(self, data: Any, phase: Phase) -> DataLoader[Any]:
        """Every process's part, in turns, so that a step sees what one process with larger batches would see in it."""
        assert self.trainer is not None
        workers, processes = self.hardware.workers, self.hardware.processes
        part = DistributedSampler[Any](data, processes, self.trainer.global_rank, shuffle=False)
        return DataLoader(data, phase.batch, False, part, num_workers=workers, prefetch_factor=4 if workers else None)


def run(
    config: Config,
    data: Sequence[str],
    folder: Path,
    *,
    validation: Sequence[str] = (),
    cache: Path | None = None,
    hardware: Hardware | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Train as `config` says on the places `data` (see train.sources), or go on where the run in `folder` stopped.

    `say` gets a line after every epoch. With several processes, each calls this. Raises UsageError for what can't be done,
    before anything but decoded pictures is written; SaveError where the folder can't be written; LossError where the loss is
    no number any more: the batch is then in the folder; and TintypeError where another process of the run is gone.
    """
    hardware = hardware or Hardware()
    with quiet():
        net = systems.network(config)
        pictures = prepare(config, data, cache or folder / "pictures", validation=validation, device=hardware.device)
        task = systems.system(config.system).task(config, net, pictures.train, pictures.rows)
        task.steps = config.steps(len(pictures.rows), hardware.processes)
        if hardware.device == "cpu":
            task.to(memory_format=torch.channels_last)
        last = _last(folder / "checkpoints" / "last.ckpt", task)
        _begin(folder, config)
        _fit(_trainer(task, folder, hardware, say), task, Loaders(config, pictures, hardware), last, folder)


@rank_zero_only
def _begin(folder: Path, config: Config) -> None:
    """What every start of a run writes, by one of its processes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(written(config))
    note_environment(folder)


def prepare(
    config: Config, data: Sequence[str], cache: Path, *, validation: Sequence[str] = (), device: str = "cpu"
) -> Pictures:
    """The run's pictures, decoded into the folder `cache` unless they are there. Of several processes, one does the work.

    Raises UsageError where there are none, or not enough, and SaveError where `cache` can't be written.
    """
    train = pack_of(data, cache / "train", config.short)
    rows, held_rows = split(train, config.validation, config.validation_most, config.seed)
    held = train
    if validation:
        held = pack_of(validation, cache / "validation", config.short)
        rows, held_rows = everything(train), everything(held)[: config.validation_most]
    if config.backbone and systems.system(config.system).backbone == "inception-resnet-v2":
        with FileLock(cache / "lock"):
            train, held = _seen(config.backbone, cache, train, held, device)
    return Pictures(train, rows, held, held_rows)


def _seen(weights: str, cache: Path, train: Pack, held: Pack, device: str) -> tuple[Pack, Pack]:
    """Both packs with the classifier's views."""
    file = named(weights)
    classifier, key = load_classifier(file), sha256_of(file)
    seen = replace(train, views=views(train, classifier, key, cache / "train", device))
    if held is train:
        return seen, seen
    return seen, replace(held, views=views(held, classifier, key, cache / "validation", device))


def _last(path: Path, task: Task) -> Path | None:
    """The checkpoint to go on from, if there is one. Raises UsageError for one that is damaged or of another network."""
    if not path.exists():
        return None
    state = checkpoints.read(path, ("system", "state_dict"))
    system = state["system"]
    theirs, mine = ({k: v.shape for k, v in weights.items()} for weights in (state["state_dict"], task.state_dict()))
    if system != task.config.system or theirs != mine:
        raise UsageError(f"{path}: is of another network ({system}); choose another folder for this run")
    return path


def _fit(trainer: L.Trainer, task: Task, loaders: Loaders, last: Path | None, folder: Path) -> None:
    try:
        trainer.fit(task, datamodule=loaders, ckpt_path=last, weights_only=True)
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):  # which Lightning makes an exit of its own of
            raise KeyboardInterrupt from None
        raise
    except OSError as error:
        if error.errno in _FULL:
            raise SaveError(folder, f"can't be written: {error.strerror}") from error
        raise
    except RuntimeError as error:  # both gloo's and NCCL's
        if trainer.world_size > 1 and ("gloo" in str(error) or isinstance(error, torch.distributed.DistError)):
            raise TintypeError("another process of this run is gone, and so this one ends") from error
        raise


def _trainer(task: Task, folder: Path, hardware: Hardware, say: Callable[[str], None]) -> L.Trainer:
    config = task.config
    by_hand = not task.automatic_optimization  # one network's gradient at a time
    callbacks: list[L.Callback] = [
        ModelCheckpoint(
            folder / "checkpoints",
            "best",
            monitor="validation/loss",
            save_last=True,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        ),
        Journal(folder, say),
        Guard(folder),
    ]
    if config.stop_after:
        callbacks.append(EarlyStopping("validation/loss", patience=config.stop_after, check_finite=False))
    if config.ema:
        callbacks.append(WeightAveraging(use_buffers=True, avg_fn=_average(config.ema)))
    together = "ddp_find_unused_parameters_true" if by_hand else "ddp"
    return L.Trainer(
        accelerator="gpu" if hardware.device == "cuda" else "cpu",
        devices=hardware.devices,
        num_nodes=hardware.nodes,
        strategy=together if hardware.processes > 1 else "auto",
        precision=_precision(config, hardware.device),
        max_epochs=config.epochs,
        gradient_clip_val=None if by_hand else config.clip or None,
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        logger=TensorBoardLogger(folder, "tensorboard", ""),
        plugins=[checkpoints.WholeFiles()],
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
