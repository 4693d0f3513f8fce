"""AdamW for the small parts of a network and Muon (Jordan et al. 2024) for its kernels, as one optimizer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

#: A layer with fewer inputs or outputs than this has no matrix worth making orthogonal.
_LEAST = 16


class AdamWithMuon:
    """Steps of Muon for kernels seen as matrices (outputs, inputs), of AdamW for everything else in `groups`, with the same learning rate.

    Muon replaces a kernel's momentum by the nearest matrix whose singular values are all one; its steps are scaled to the size of AdamW's
    (Liu et al. 2025, equation 4), so that learning rates and decay mean the same.
    """

    def __init__(self, groups: list[dict[str, Any]], learning_rate: float, betas: tuple[float, float]) -> None:
        self.matrices: list[tuple[Tensor, nn.Parameter]] = []
        matrices, rest = list[dict[str, Any]](), list[dict[str, Any]]()
        for group in groups:
            pairs = [(p, nn.Parameter(_matrix(p.data))) for p in group["params"] if _is_kernel(p)]
            self.matrices += pairs
            others = [p for p in group["params"] if not _is_kernel(p)]
            matrices += [{**group, "params": [m for _, m in pairs]}] if pairs else []
            rest += [{**group, "params": others}] if others else []
        self.adam = torch.optim.AdamW(rest, learning_rate, betas)
        made: Any = torch.optim.Muon  # whose step has no types
        self.muon = made(matrices, learning_rate, adjust_lr_fn="match_rms_adamw")

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Of both."""
        return [*self.adam.param_groups, *self.muon.param_groups]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """As torch's."""
        self.adam.zero_grad(set_to_none)
        for kernel, _ in self.matrices:
            kernel.grad = None

    def step(self) -> None:
        """One step of both."""
        for kernel, matrix in self.matrices:
            matrix.grad = None if kernel.grad is None else _matrix(kernel.grad)
        self.adam.step()
        self.muon.step()

    def state_dict(self) -> dict[str, Any]:
        """Of both, by name."""
        return {"adam": self.adam.state_dict(), "muon": self.muon.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What `state_dict` gave."""
        self.adam.load_state_dict(state["adam"])
        self.muon.load_state_dict(state["muon"])


def _is_kernel(parameter: Tensor) -> bool:
    return parameter.ndim in (2, 4) and min(parameter.shape[:2]) >= _LEAST


def _matrix(kernel: Tensor) -> Tensor:
    """A kernel (outputs, inputs, h, w) as a matrix of the same numbers: no copy where they lie channels last."""
    return kernel if kernel.ndim == 2 else kernel.permute(0, 2, 3, 1).flatten(1)
