"""A teacher's features as a lesson for our own network: what a photograph shows, from a classifier that has seen many."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tintype.errors import UsageError


class Lesson(nn.Module):
    """What a teacher sees in a picture, to be told from the student's deepest features (N, w32, H/32, W/32), or to be seen in its colours.

    A classifier that has seen a million labelled pictures in colour says what is where; the trunk learns to say the same
    from luma alone (Romero et al. 2015, FitNets). Teacher and lesson are for training only; neither is exported.
    """

    def __init__(self, teacher: nn.Module, width: int, device: str = "cpu") -> None:
        super().__init__()
        self.teach = [teacher]  # in a list, so that it is no part of the checkpoint
        with torch.no_grad():
            maps = self._maps(torch.zeros(1, 3, 64, 64, device=device))
        self.depths = [m.shape[1] for m in maps]
        self.answer = nn.Conv2d(width, self.depths[-1], 1)
        # Without momentum: means over all that was seen, so that they are right from the first batch on.
        self.standards = nn.ModuleList(nn.BatchNorm2d(m.shape[1], affine=False, momentum=None) for m in maps)
        self.to(device)

    def seen(self, rgb: Tensor) -> list[Tensor]:
        """What the teacher sees in `rgb` (N, 3, H, W) in [0, 1]: its maps, standardized by all that it has seen, the deepest last."""
        with torch.no_grad():
            maps = self._maps(rgb)
            for standard, m in zip(self.standards, maps, strict=True):
                standard(m)
            return self._standardized(maps)

    def look(self, rgb: Tensor) -> list[Tensor]:
        """The same without learning from them what is usual, and with gradients: for pictures that we coloured."""
        return self._standardized(self._maps(rgb))

    def forward(self, deepest: Tensor, seen: list[Tensor]) -> Tensor:
        """Mean squared error between what the student tells and the deepest of what the teacher has `seen`: 1 is ignorance."""
        return F.mse_loss(self.answer(deepest).float(), seen[-1])

    def _standardized(self, maps: list[Tensor]) -> list[Tensor]:
        found = []
        for standard, m in zip(self.standards, maps, strict=True):
            assert isinstance(standard, nn.BatchNorm2d)
            found.append(F.batch_norm(m, standard.running_mean, standard.running_var, eps=standard.eps))
        return found

    def _maps(self, rgb: Tensor) -> list[Tensor]:
        out = self.teach[0](rgb)
        return [m.float() for m in (out if isinstance(out, tuple | list) else (out,))]


def apart(told: Sequence[Tensor], seen: Sequence[Tensor]) -> Tensor:
    """Mean squared difference between a teacher's maps (N, C_i, h_i, w_i) of coloured pictures and those of the originals (Johnson et al. 2016, equation 2), all depths alike."""
    return torch.stack([F.mse_loss(m, wanted) for m, wanted in zip(told, seen, strict=True)]).mean()


def wholly_apart(told: Tensor, seen: Tensor) -> Tensor:
    """How far a teacher's deepest maps (N, C, h, w) of coloured pictures, as averages over each whole picture, are from the originals': 0 for the same, about 2 for those of other pictures.

    Of each picture's from its own original's, and of their means and deviations over the batch from the originals': what a Fréchet
    distance of such features sees (Heusel et al. 2017) but for the covariances, for which a batch is too small.
    """
    made, true = told.mean((2, 3)), seen.mean((2, 3))
    means, deviations = F.mse_loss(made.mean(0), true.mean(0)), F.mse_loss(made.std(0), true.std(0))
    return (F.mse_loss(made, true) + means + deviations) / true.var(0).mean()


def load_teacher(weight: float, path: Path | None, device: str = "cpu") -> nn.Module | None:
    """The teacher in a TorchScript file, or None where its losses weigh nothing.

    It maps RGB (N, 3, H, W) in [0, 1] to features (N, C, H/32, W/32), or to several maps, of which those are the last.
    Raises UsageError where the config gives it a `weight` and no file is named, or the file holds none.
    """
    if weight and path is None:
        raise UsageError(
            "this config has a teacher: name its file (--teacher), or set teacher_weight, feature_weight and whole_weight to 0"
        )
    return _script(path, device) if weight and path else None


def load_tutor(weight: float, path: Path | None, device: str = "cpu") -> nn.Module | None:
    """The tutor in a TorchScript file, or None where its word weighs nothing: colorizers whose one answer a network is to learn (Hinton et al. 2015).

    It maps luma (N, 1, H, W) in [0, 1] to chroma (N, 2, H/4, W/4); benchmarks/tutor.py makes one of trained runs.
    Raises UsageError as `load_teacher`.
    """
    if weight and path is None:
        raise UsageError("this config has a tutor: name its file (--tutor), or set tutor_weight to 0")
    return _script(path, device) if weight and path else None


def _script(path: Path, device: str) -> nn.Module:
    """The network in a TorchScript file, which learns nothing."""
    untyped: Any = torch.jit.load  # torch gives it no types
    try:
        net: nn.Module = untyped(path, map_location=device)
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(f"{path}: holds no TorchScript network: {str(error).splitlines()[0]}") from None
    for parameter in net.parameters():  # a script knows no requires_grad_ of its own
        parameter.requires_grad_(False)
    return net.eval()
