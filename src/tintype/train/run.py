"""A training run: pictures, a system and a config become a folder with everything in it; the same command goes on where it stopped.

The folder: config.yaml as resolved, environment.json, metrics.csv, curves.png, grids/, tensorboard/, skipped.txt,
checkpoints/last.ckpt and best.ckpt. A run goes on from the end of its last whole epoch, to the same numbers.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from filelock import FileLock, Timeout
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, WeightAveraging
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler, Subset

from tintype.errors import SaveError, TintypeError, UsageError
from tintype.picture.atomic import replacing
from tintype.train import checkpoints, systems
from tintype.train.cache import Pack, pack_of
from tintype.train.config import Config, Phase, read, written
from tintype.train.crops import Crops, Cut, Rows, Whole, everything, split
from tintype.train.devices import has_bfloat16
from tintype.train.guard import Guard
from tintype.train.journal import Clock, Journal, note_environment
from tintype.train.loading import alive, loader
from tintype.train.optimizers import grown
from tintype.train.quiet import quiet
from tintype.train.task import Task
from tintype.train.views import load_classifier, views
from tintype.weights import named, sha256_of

#: No room on the disk, in the user's share of it, in a file.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
#: What may change when a run goes on: how long it lasts.
_FREE = frozenset({"phases", "stop_after"})


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
        processes = self.hardware.processes
        crops = Crops(found.train, found.rows, cut, self._epoch(), steps * phase.batch * processes)
        # Every process's part, in turns, so that a step sees what one process with larger batches would see in it.
        part = DistributedSampler[Any](crops, processes, self._rank(), shuffle=False)
        return loader(crops, phase.batch, self.hardware.workers, part)

    def val_dataloader(self) -> DataLoader[Any]:
        phase, found = self._phase(), self.pictures
        held = Whole(found.held, found.held_rows, phase.size)
        if self.hardware.processes == 1:
            return loader(held, phase.batch, self.hardware.workers)
        # Each picture in one process's part: a distributed sampler would give some twice, to make the parts alike.
        mine = range(self._rank(), len(held), self.hardware.processes)
        return loader(Subset(held, mine), phase.batch, self.hardware.workers)

    def _epoch(self) -> int:
        assert self.trainer is not None
        return self.trainer.current_epoch

    def _phase(self) -> Phase:
        return self.config.phase_of(self._epoch())

    def _rank(self) -> int:
        assert self.trainer is not None
        return self.trainer.global_rank


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
    before any picture is read; SaveError where the folder can't be written; LossError where the loss is
    no number any more: the batch is then in the folder; and TintypeError where another process of the run, or one that reads pictures, is gone.
    """
    hardware = hardware or Hardware()
    task = systems.task(config)
    with quiet(), _alone(folder):
        last = _last(folder, task)
        task.config = config = _resolved(config, hardware.device, folder if last else None)
        if last and _stopped_early(last, config):
            say(f"stopped before: no better validation loss for {config.stop_after} epochs")
            return
        pictures = prepare(config, data, cache or folder / "pictures", validation=validation, device=hardware.device)
        task.study(pictures.train, pictures.rows)
        task.steps = config.steps(len(pictures.rows), hardware.processes)
        if hardware.device == "cpu":
            task.to(memory_format=torch.channels_last)
        _begin(folder, config)
        _fit(_trainer(task, folder, hardware, say), task, Loaders(config, pictures, hardware), last, folder)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Raises UsageError where another run is writing to the folder, SaveError where none can."""
    if getattr(rank_zero_only, "rank", 0):  # the first of this run's processes speaks for all
        yield
        return
    lock = FileLock(folder / "lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise UsageError(f"{folder}: another process trains there; choose another folder, or wait for it") from None
    except OSError as error:
        raise SaveError(folder, f"can't be written: {error.strerror or error}") from None
    try:
        yield
    finally:
        lock.release()


def _resolved(config: Config, device: str, begun: Path | None) -> Config:
    """The config with its precision; left to us, that of the run that has `begun` in a folder, since arithmetic must not change on the way.

    Raises UsageError where the config is another than that run's.
    """
    if begun is None:
        return replace(config, precision=_precision(config, device))
    before = read(begun / "config.yaml")
    if config.precision == "auto":
        config = replace(config, precision=before.precision)
    changed = [f.name for f in fields(Config) if getattr(before, f.name) != getattr(config, f.name)]
    if set(changed) - _FREE:
        raise UsageError(
            f"{begun}: holds a run with another config ({', '.join(sorted(set(changed) - _FREE))}); choose another folder"
        )
    return config


def _stopped_early(last: Path, config: Config) -> bool:
    """Whether a run's last checkpoint is of its end, for want of a better validation loss."""
    if not config.stop_after:
        return False
    kept = checkpoints.read(last, ("callbacks",))["callbacks"]
    waits = [state["wait_count"] for name, state in kept.items() if name.startswith("EarlyStopping")]
    return any(wait >= config.stop_after for wait in waits)


@rank_zero_only
def _begin(folder: Path, config: Config) -> None:
    """What every start of a run writes, by one of its processes."""
    # The other processes may be reading the one that is there.
    with replacing(folder / "config.yaml", overwrite=True) as part:
        part.write_text(written(config))
    note_environment(folder)


def prepare(
    config: Config, data: Sequence[str], cache: Path, *, validation: Sequence[str] = (), device: str = "cpu"
) -> Pictures:
    """The run's pictures, decoded into the folder `cache` unless they are there. Of several processes, one does the work.

    Raises UsageError where there are none, or not enough, and SaveError where `cache` can't be written.
    """
    train = pack_of(data, cache / "train", config.kept)
    rows, held_rows = split(train, config.validation, config.validation_most, config.seed)
    held = train
    if validation:
        held = pack_of(validation, cache / "validation", config.kept, held=True)
        some = np.random.default_rng([config.seed, 3]).permutation(everything(held))[: config.validation_most]
        rows, held_rows = everything(train), np.sort(some)
    if config.backbone and systems.system(config.system).views:
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


def _last(folder: Path, task: Task) -> Path | None:
    """The checkpoint to go on from, if there is one. Raises UsageError for one that is damaged or of another network."""
    path = folder / "checkpoints" / "last.ckpt"
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
        with alive():
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
    clock = Clock()
    saved: dict[str, Any] = {"save_on_train_epoch_end": True, "enable_version_counter": False}
    callbacks: list[L.Callback] = [
        ModelCheckpoint(folder / "checkpoints", "best", monitor="validation/loss", **saved),
        # One of its own: with `save_last` it would be written where there is a new best alone.
        ModelCheckpoint(folder / "checkpoints", "last", **saved),
        Guard(folder),
        Journal(folder, clock, say),
    ]
    if config.stop_after:
        callbacks.append(EarlyStopping("validation/loss", patience=config.stop_after, check_finite=False))
    if config.ema:
        callbacks.append(WeightAveraging(use_buffers=True, avg_fn=_average(config.ema)))
    callbacks.append(clock)  # the last to be asked after a step, so that it counts nobody's work as waiting
    together = "ddp_find_unused_parameters_true" if by_hand else "ddp"
    return L.Trainer(
        accelerator="gpu" if hardware.device == "cuda" else "cpu",
        devices=hardware.devices,
        num_nodes=hardware.nodes,
        strategy=together if hardware.processes > 1 else "auto",
        precision="bf16-mixed" if config.precision == "bfloat16" else "32-true",
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
    """What the config asks for; of itself, bfloat16 where the device computes in it."""
    return {"auto": "bfloat16" if has_bfloat16(device) else "float32"}.get(config.precision, config.precision)


def _average(decay: float) -> Any:
    """How Lightning's WeightAveraging is to blend a step's weights in."""

    def blend(average: Tensor, now: Tensor, count: Tensor) -> Tensor:
        if not now.is_floating_point():  # batch normalization counts its batches
            return now
        return torch.lerp(average, now, 1 - grown(decay, int(count)))

    return blend
