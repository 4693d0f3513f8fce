"""What `tintype models show` says of a network: read off the network itself and off its recipe. Needs the extra `train`."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tintype.errors import ModelError

if TYPE_CHECKING:
    from torch import nn

    from tintype.nets.layers import Layer

Shape = tuple[int, ...]

#: The side, in pixels, of what the exported `tint` sees.
_TINT = 256
_MEANING = {"rgb": "RGB", "ab": "ab of CIELAB", "chroma": "Cb and Cr", "classes": "logits of colour classes"}


@dataclass(frozen=True)
class Part:
    """One of the networks that a system consists of. `outputs` and the layers' are (H, W, C), for its standard input."""

    title: str
    outputs: tuple[Shape, ...]
    parameters: int
    layers: list[Layer]


@dataclass(frozen=True)
class Anatomy:
    """A network or system. `options`: what its recipe's `net` may say, with default and choices; `backbone`: the card whose weights it can take over."""

    input: str
    output: str
    options: dict[str, str]
    backbone: str
    recipe: str
    parameters: int
    parts: list[Part]


@dataclass(frozen=True)
class _Made:
    """A part on paper: a network without numbers, and the shapes (N, C, H, W) of its standard inputs."""

    title: str
    net: nn.Module
    shapes: list[Shape]


def anatomy(name: str, most: int = 0) -> Anatomy:
    """The network of that name (see cards.NETWORKS), with at most about `most` layers of each part (0: with all).

    Raises ModelError where the extra `train` is not installed.
    """
    try:
        from tintype.nets.public import PUBLIC

        if name in PUBLIC:
            return _public(name, most)
        path = recipe(name)
        return _tint(path, most) if name == "tint" else _system(name, path, most)
    except ImportError as error:
        raise ModelError(f"showing the layers of {name!r} needs {error.name}; pip install 'tintype[train]'") from None


def recipes() -> dict[str, Path]:
    """The recipes that come with the package, by the name of their system."""
    package = Path(__file__).parent.parent
    folders = (package / "configs", package.parent.parent / "configs")  # installed; in the source tree
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.yaml"))}


def recipe(name: str) -> Path:
    """The one for the system of that name. Raises ModelError where it is missing."""
    known = recipes()
    if name not in known:
        raise ModelError(f"the recipe of {name!r} is missing; install tintype again")
    return known[name]


def shape_text(shape: Shape) -> str:
    """(56, 56, 313) as "56x56x313"."""
    return "x".join(map(str, shape)) or "-"


def _public(name: str, most: int) -> Anatomy:
    from tintype.nets.layers import on_paper
    from tintype.nets.public import PUBLIC

    known = PUBLIC[name]
    return _read([_Made("network", on_paper(known.build), [(1, known.channels, known.size, known.size)])], most)


def _tint(path: Path, most: int) -> Anatomy:
    from tintype.nets.layers import blank, on_paper
    from tintype.train.recipe import Config, build_net

    config = Config.read(path)
    net = on_paper(lambda: build_net(config, blank(config.classes, 2), 0))
    return _read(
        [_Made("network", net, [(1, c, _TINT, _TINT) for c in ((1, 3) if config.hints else (1,))])], most, path
    )


def _system(name: str, path: Path, most: int) -> Anatomy:
    from tintype.nets.layers import on_paper, outputs
    from tintype.train import config, systems
    from tintype.train.task import Adversarial, Task
    from tintype.train.views import Seeing

    settings, system = config.read(path), systems.system(name)
    task, size = cast(Task, on_paper(lambda: systems.task(settings))), settings.phases[-1].size
    net = task.net
    title = "generator" if isinstance(task, Adversarial) else "network"
    made = [_Made(title, net, [(1, 1, size, size)])]
    if isinstance(net, Seeing):
        seen: Shape = (1, 3, net.side, net.side)
        view = outputs(net.classifier, [seen])[0]
        made = [
            _Made(title, net.net, [(1, 1, size, size), (1, *view)]),
            _Made("classifier", net.classifier, [seen]),
        ]
    if isinstance(task, Adversarial):
        made.append(_Made("discriminator", task.discriminator, [(1, 1, size, size), (1, 2, size, size)]))
    return _read(made, most, path, _options(system.network), system.backbone)


def _read(
    made: list[_Made], most: int, path: Path | None = None, options: dict[str, str] | None = None, backbone: str = ""
) -> Anatomy:
    """What the parts themselves say, the first of which colours."""
    from tintype.nets.layers import layers, outputs

    parts = [
        Part(
            m.title, outputs(m.net, m.shapes), sum(p.numel() for p in m.net.parameters()), layers(m.net, m.shapes, most)
        )
        for m in made
    ]
    first = made[0]
    return Anatomy(
        input=_input(first),
        output=" and ".join(_output(first.net, shape) for shape in parts[0].outputs),
        options=options or {},
        backbone=backbone,
        recipe=str(path or ""),
        parameters=sum(p.parameters for p in parts),
        parts=parts,
    )


def _input(made: _Made) -> str:
    """What goes in, and its rules; a network that takes no picture says so itself."""
    if hasattr(made.net, "takes"):
        return str(made.net.takes)
    _, channels, height, width = made.shapes[0]
    what = f"{'luma' if channels == 1 else 'RGB or grey'} in [0, 1], {height}x{width} pixels"
    if getattr(made.net, "fixed", False):
        what += " and no other size"
    else:
        what += f" or other multiples of {made.net.multiple}" if hasattr(made.net, "multiple") else " or others"
    return "; and ".join([what, *list(getattr(made.net, "asks", ()))[1:]])


def _output(net: nn.Module, shape: Shape) -> str:
    """What comes out; a network that has more than one kind, or another, has no `output` that says it."""
    if hasattr(net, "gives"):
        return str(net.gives)
    if len(shape) == 1:
        return f"logits of {shape[0]} classes of pictures"
    kind = str(getattr(net, "output", "chroma" if shape[-1] == 2 else "classes"))
    return f"{kind}: {_MEANING[kind]}, {shape_text(shape)}"


def _options(build: Callable[..., Any]) -> dict[str, str]:
    """The arguments that a recipe may give, with their defaults and choices."""
    found = {}
    for name, parameter in inspect.signature(build, eval_str=True).parameters.items():
        if parameter.default is not parameter.empty:
            literal = typing.get_origin(parameter.annotation) is typing.Literal
            others = (
                [str(c) for c in typing.get_args(parameter.annotation) if c != parameter.default] if literal else []
            )
            found[name] = f"{parameter.default}" + (f" (or {', '.join(others)})" if others else "")
    return found
