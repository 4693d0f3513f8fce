"""The methods, by name. A new one is a class that has `method.Method`'s shape and one line here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tintype.cards import CARDS
from tintype.errors import UsageError
from tintype.methods.method import Method
from tintype.methods.neural import Neural
from tintype.methods.plain import Grey, Wash
from tintype.weights import card_of_file, verified

#: name -> builder(device, threads).
METHODS: dict[str, Callable[[str, int | None], Method]] = {
    "tint": lambda device, threads: Neural(CARDS["tint"], verified(CARDS["tint"]), device, threads),
    "grey": lambda device, threads: Grey(),
    "wash": lambda device, threads: Wash(),
}


def build(name: str, device: str = "auto", threads: int | None = None) -> Method:
    """The method called `name`, or the network in the ONNX file of that path.

    Raises UsageError for an unknown name and ModelError where its weights are missing or not as sealed.
    """
    if name in METHODS:
        return METHODS[name](device, threads)
    if name.endswith(".onnx"):
        path = Path(name)
        return Neural(card_of_file(path), path, device, threads)
    raise UsageError(f"there is no method {name!r}; known: {', '.join(METHODS)}, or a path that ends with .onnx")
