"""What a run leaves for its reader, epoch by epoch: metrics.csv, curves.png, grids/, environment.json."""

from __future__ import annotations

import csv
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, cast

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader, default_collate

from tintype.picture.atomic import replacing
from tintype.train.task import Task

#: Pictures in a grid.
_SHOWN = 12


class Clock(Callback):
    """Seconds since an epoch `began`, and how many of them the device `waited` for a batch. The last of all callbacks."""

    def __init__(self) -> None:
        self.began = self._since = time.perf_counter()
        self.waited = 0.0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.began = self._since = time.perf_counter()
        self.waited = 0.0

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.waited += time.perf_counter() - self._since

    def on_train_batch_end(self, *arguments: Any) -> None:
        self._since = time.perf_counter()


class Journal(Callback):
    """Writes after every validation. Rows of epochs that are done again after a restart replace the old ones.

    `say` gets a line for the terminal after every epoch.
    """

    def __init__(self, folder: Path, clock: Clock, say: Callable[[str], None]) -> None:
        self.folder, self.clock, self.say = folder, clock, say

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        # Here and not a hook later, where the averaged weights are gone again.
        if trainer.is_global_zero:
            assert isinstance(pl_module, Task)
            held: Any = cast(DataLoader[Any], trainer.val_dataloaders).dataset  # run gives it one loader
            batch = {
                k: v.to(pl_module.device)
                for k, v in default_collate([held[i] for i in range(min(_SHOWN, len(held)))]).items()
            }
            with torch.no_grad():
                told = pl_module.picture(pl_module.answer(batch), batch["luma"])
            columns = [batch["luma"].expand(-1, 3, -1, -1), told, batch["rgb"].float() / 255]
            grid(
                [c.permute(0, 2, 3, 1).cpu().numpy() for c in columns],
                self.folder / "grids" / f"{trainer.current_epoch:03}.png",
            )

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        seconds = time.perf_counter() - self.clock.began
        rate = float(trainer.optimizers[0].param_groups[0]["lr"])
        for logger in trainer.loggers:
            logger.log_metrics({"rate": rate}, trainer.global_step)
        row = {
            "epoch": trainer.current_epoch,
            "seconds": round(seconds, 1),
            "idle": round(self.clock.waited / seconds, 3),
            "rate": rate,
            **{k: float(v) for k, v in trainer.callback_metrics.items()},
        }
        rows = [r for r in rows_of(self.folder / "metrics.csv") if int(r["epoch"]) < trainer.current_epoch]
        _write(self.folder / "metrics.csv", [*rows, row])
        curves(self.folder / "metrics.csv", self.folder / "curves.png")
        done, of = trainer.current_epoch + 1, trainer.max_epochs
        told = ", ".join(f"{stage} loss {row[f'{stage}/loss']:.4g}" for stage in ("train", "validation"))
        self.say(f"epoch {done} of {of}: {told}, {seconds:.1f} s")


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows of a metrics.csv; none where there is no such file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    keys = list(dict.fromkeys(k for row in rows for k in row))
    with replacing(path, overwrite=True) as part, part.open("w", newline="") as file:
        writer = csv.DictWriter(file, keys)
        writer.writeheader()
        writer.writerows(rows)


def curves(metrics: Path, path: Path) -> None:
    """Every column of a metrics.csv over the epochs: training and validation of the same name in one plot."""
    rows = rows_of(metrics)
    names = [k for k in rows[-1] if k not in ("epoch", "seconds", "idle")]
    kinds = list(dict.fromkeys(n.split("/")[-1] for n in names))
    figure = Figure(figsize=(4.5 * len(kinds), 3.2), layout="constrained")
    for number, kind in enumerate(kinds):
        axes = figure.add_subplot(1, len(kinds), number + 1)
        for name in (n for n in names if n.split("/")[-1] == kind):
            known = [(int(r["epoch"]), float(r[name])) for r in rows if r.get(name)]
            axes.plot(*zip(*known, strict=True), label=name.split("/")[0], marker="." if len(known) < 30 else "")
        axes.set_xlabel("epoch")
        axes.set_title(kind)
        axes.legend(frameon=False)
    figure.savefig(path, dpi=110)


def grid(columns: list[NDArray[np.float32]], path: Path) -> None:
    """Pictures side by side, a row each: every column is (N, H, W, 3) in [0, 1]; grey, predicted, original."""
    rows = np.concatenate([c[:_SHOWN] for c in columns], 2).clip(0, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(rows.reshape(-1, *rows.shape[2:]) * 255).astype(np.uint8)).save(path)


def environment() -> dict[str, Any]:
    """Machine, versions, git revision: what someone needs who wants the same numbers."""
    wanted = ("torch", "lightning", "numpy", "pillow", "pyarrow", "tintype")
    return {
        "date": time.strftime("%Y-%m-%d %H:%M:%S"),
        "command": sys.argv,
        "git": _revision(),
        "python": platform.python_version(),
        "machine": platform.platform(),
        "processors": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "versions": {d.name: d.version for d in distributions() if d.name.lower() in wanted},
    }


def _revision() -> str | None:
    """The git revision of this very file; None where it is installed, perhaps in someone else's repository, or there is no git."""
    here = Path(__file__)
    git = ("git", "-C", here.parent)
    try:
        subprocess.run([*git, "ls-files", "--error-unmatch", here.name], capture_output=True, check=True)
        told = subprocess.run([*git, "describe", "--always", "--dirty"], capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return told.stdout.strip()


def note_environment(folder: Path) -> None:
    """Add this start of the run to its environment.json, a list."""
    path = folder / "environment.json"
    before = json.loads(path.read_text()) if path.exists() else []
    with replacing(path, overwrite=True) as part:
        part.write_text(json.dumps([*before, environment()], indent=1))
