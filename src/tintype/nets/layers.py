"""What a network consists of, read off itself: layer by layer, from one pass through it without numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

_NAMES = {
    nn.Linear: "dense",
    nn.BatchNorm1d: "batch norm",
    nn.BatchNorm2d: "batch norm",
    nn.LayerNorm: "layer norm",
    nn.MaxPool2d: "max pool",
    nn.AvgPool2d: "average pool",
    nn.AdaptiveAvgPool2d: "average pool",
    nn.Upsample: "enlarge",
    nn.Unflatten: "reshape",
    nn.ZeroPad2d: "zero pad",
}


@dataclass(frozen=True)
class Layer:
    """One row of a network's table. `output`: (H, W, C) of a map, without the batch; () of what takes no part in `forward`."""

    layer: str
    kind: str
    output: tuple[int, ...]
    parameters: int


def on_paper(build: Callable[[], nn.Module]) -> nn.Module:
    """The network that `build` makes, for inference, with shapes but without numbers: any size costs nothing."""
    with torch.device("meta"):
        return build().eval()


def blank(*shape: int) -> Tensor:
    """A tensor `on_paper`."""
    return torch.empty(*shape, device="meta")


def outputs(net: nn.Module, shapes: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    """The outputs of a network `on_paper` for inputs of these shapes (N, C, H, W), each as (H, W, C); (1,) for one number per picture."""
    answer = _through(net, shapes)
    return tuple(_seen(a) or (1,) for a in (answer if isinstance(answer, tuple) else (answer,)))


def layers(net: nn.Module, shapes: Sequence[Sequence[int]], most: int = 0) -> list[Layer]:
    """The layers of a network `on_paper` that have parameters or change the shape, for inputs of the shapes (N, C, H, W).

    Their parameters sum to the network's. Where they are more than `most` (0: any number), blocks stand for the layers in
    them, as deep as there is room.
    """
    shape: dict[nn.Module, tuple[tuple[int, ...], tuple[int, ...]]] = {}

    def note(module: nn.Module, inputs: tuple[Any, ...], result: Any) -> None:
        if isinstance(result, Tensor) and inputs:
            given = inputs[0][-1] if isinstance(inputs[0], list) else inputs[0]  # of several maps, the finest
            shape[module] = (_seen(given), _seen(result))

    hooks = [m.register_forward_hook(note) for m in net.modules() if m is not net]
    _through(net, shapes)
    for hook in hooks:
        hook.remove()
    deepest = max(name.count(".") for name, _ in net.named_modules()) + 1
    rows: list[Layer] = []
    for depth in range(deepest, 0, -1):
        rows = list(_rows(net, "", depth, shape))
        if not most or len(rows) <= most:
            break
    return rows


def _rows(
    module: nn.Module, name: str, depth: int, shape: dict[nn.Module, tuple[tuple[int, ...], tuple[int, ...]]]
) -> Iterator[Layer]:
    """The rows of a module, at most `depth` modules deep. What is no more than a list of modules doesn't count."""
    parameters = sum(p.numel() for p in module.parameters())
    before, after = shape.get(module, ((), ()))
    if name and (module in shape or not list(module.children())):
        inner = [m for m in module.modules() if any(True for _ in m.parameters(recurse=False))]
        # A block whose parts are used in other ways than by calling them, and one that is a layer with trimmings, are one row.
        if depth == 0 or len(inner) <= 1 or module in inner or any(m not in shape for m in inner):
            if parameters or before != after:
                yield Layer(name, _kind(inner[0] if len(inner) == 1 else module), after, parameters)
            return
    for child_name, child in module.named_children():
        yield from _rows(
            child, f"{name}.{child_name}" if name else child_name, depth - (not name or module in shape), shape
        )


def _kind(module: nn.Module) -> str:
    """A module in a word or two."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        high, wide = module.kernel_size
        words = ["transposed conv" if isinstance(module, nn.ConvTranspose2d) else "conv"]
        words.append(f"k{high}" if high == wide else f"k{high}x{wide}")
        words += [f"s{module.stride[0]}"] if module.stride[0] > 1 else []
        words += [f"dilation {module.dilation[0]}"] if module.dilation[0] > 1 else []
        return " ".join([*words, *(["by channel"] if module.groups > 1 else [])])
    children = list(module.children())
    if isinstance(module, nn.Sequential) and children:
        kinds = {type(c).__name__.lower() for c in children}
        return f"{len(children)} x {kinds.pop()}" if len(kinds) == 1 else "block"
    return _NAMES.get(type(module), type(module).__name__.lower())


def _through(net: nn.Module, shapes: Sequence[Sequence[int]]) -> Any:
    with torch.no_grad():
        return net(*(blank(*s) for s in shapes))


def _seen(x: Tensor) -> tuple[int, ...]:
    """A tensor's shape without the batch, channels last."""
    shape = tuple(x.shape[1:])
    return (*shape[1:], shape[0]) if len(shape) == 3 else shape
