"""AdamW for the small parts of a network and Muon (Jordan et al. 2024) for its kernels, as one optimizer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

#: How much of its past a kernel's momentum keeps.
_MOMENTUM = 0.95
#: The quintic that is applied again and again to singular values, and how often; it ends between 0.68 and 1.2 for all but the least (Jordan et al. 2024).
_QUINTIC, _TIMES = (3.4445, -4.775, 2.0315), 5
#: A layer with fewer inputs or outputs than this has no matrix worth making orthogonal.
_LEAST = 16


class Muon(torch.optim.Optimizer):
    """Steps whose singular values are all about one, scaled to the size of AdamW's (Liu et al. 2025, equation 4), for matrices.

    torch's own multiplies in bfloat16 whatever the processor: one that only imitates it (AVX2) takes 2.0 s for a matrix of 256 x 2304, and `orthogonal` 0.03.
    """

    def __init__(self, params: list[dict[str, Any]], learning_rate: float) -> None:
        super().__init__(params, {"lr": learning_rate, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step, by the gradients that are there: it has no use for a closure."""
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                kept = self.state[matrix]
                if not kept:
                    kept["momentum"] = torch.zeros_like(matrix)
                momentum = kept["momentum"].lerp_(matrix.grad, 1 - _MOMENTUM)
                direction = orthogonal(matrix.grad.lerp(momentum, _MOMENTUM))  # as Nesterov's
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(direction, alpha=-group["lr"] * 0.2 * max(matrix.shape) ** 0.5)


def orthogonal(matrix: Tensor) -> Tensor:
    """About the nearest matrix (M, N) whose singular values are all one: its own, of the same singular vectors, become 0.68 to 1.2, if they were no less than a six-hundredth of its norm.

    The quintic p is odd: with X = matrix / its norm and G = X X', every p(...p(X)) is a polynomial of G times X, and such commute. So the iteration is done on the small
    square matrix alone, in float32, for two fifths of the work of one on a matrix nine times as long.
    """
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonal(matrix.T).T
    x = matrix.float() / matrix.norm().clamp_min(1e-7)
    gram = x @ x.T
    total = torch.eye(len(gram), device=gram.device)
    a, b, c = _QUINTIC
    for _ in range(_TIMES):
        factor = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal().add_(a)
        total = factor @ total
        gram = factor @ factor @ gram
    found: Tensor = (total @ x).to(matrix.dtype)
    return found


class AdamWithMuon:
    """Steps of Muon for kernels seen as matrices (outputs, inputs), of AdamW for everything else in `groups`, with the same learning rate.

    Their steps are of one size, so that learning rates and decay mean the same.
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
        self.muon = Muon(matrices, learning_rate)

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
