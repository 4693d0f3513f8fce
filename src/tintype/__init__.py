"""Tintype adds colour to black-and-white photographs, and changes nothing else.

import tintype
result = tintype.colorize(tintype.open("grandma.tif"))
result.save("grandma-color.tif")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from tintype.colorizer import Colorizer, colorize
    from tintype.errors import TintypeError
    from tintype.guidance.hints import Hints, Point
    from tintype.methods.method import Options
    from tintype.picture.files import ReadOptions
    from tintype.picture.files import open_picture as open
    from tintype.picture.picture import ColoredPicture, Picture

__all__ = [
    "ColoredPicture",
    "Colorizer",
    "Hints",
    "Options",
    "Picture",
    "Point",
    "ReadOptions",
    "TintypeError",
    "colorize",
    "open",
]

_HOMES = {
    "ColoredPicture": "picture.picture",
    "Colorizer": "colorizer",
    "Hints": "guidance.hints",
    "Options": "methods.method",
    "Picture": "picture.picture",
    "Point": "guidance.hints",
    "ReadOptions": "picture.files",
    "TintypeError": "errors",
    "colorize": "colorizer",
    "open": "picture.files",
}


def __getattr__(name: str) -> object:
    # Loaded on first use, so that `tintype --help` need not wait for numpy and onnxruntime (PEP 562).
    if name not in _HOMES:
        raise AttributeError(f"module 'tintype' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"tintype.{_HOMES[name]}"), "open_picture" if name == "open" else name)
