"""A teacher's features as a lesson for our own network: what a photograph shows, from a classifier that has seen many."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tintype.errors import UsageError


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


def load_teacher(weight: float, path: Path | None) -> nn.Module | None:
    """The teacher in a TorchScript file that maps RGB (N, 3, H, W) in [0, 1] to features (N, C, H/32, W/32), or None where its loss weighs nothing.

    Raises UsageError where the config gives it a `weight` and no file is named, or the file holds none.
    """
    if not weight:
        return None
    if path is None:
        raise UsageError(
            "this config has a teacher_weight: name the teacher's file (--teacher), or set teacher_weight to 0"
        )
    untyped: Any = torch.jit.load  # torch gives it no types
    try:
        teacher: nn.Module = untyped(path)
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(f"{path}: holds no TorchScript network: {str(error).splitlines()[0]}") from None
    return teacher.eval()
