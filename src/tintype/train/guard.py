"""A loss that is no number ends a run, and the batch that did it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor

from tintype.errors import TintypeError


class LossError(TintypeError, FloatingPointError):
    """The loss is infinite or no number."""


def check(loss: Tensor, batch: Mapping[str, Tensor], where: str, path: Path) -> None:
    """Raises LossError, which says `where`, for a `loss` that is not finite; the batch is then in the file `path`."""
    if not torch.isfinite(loss):
        torch.save(dict(batch), path)
        raise LossError(
            f"the loss is {loss.item()} in {where}; the batch is in {path}, and a smaller learning rate may help"
        )


class Guard(L.Callback):
    """Looks at a Task's loss after every step."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_batch_end(self, trainer: L.Trainer, task: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        name = f"bad-batch-{trainer.global_rank}.pt" if trainer.global_rank else "bad-batch.pt"
        check(task.latest, batch, f"epoch {trainer.current_epoch}, step {batch_idx}", self.folder / name)
