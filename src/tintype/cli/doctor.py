"""`tintype doctor`: what would be used, and what is wrong with it."""

from __future__ import annotations

import json
import os
import platform
import sys
from typing import Annotated, Any

import typer

from tintype import __version__
from tintype.cli.report import say, table
from tintype.cli.run import cores_here
from tintype.errors import ModelError, TintypeError

_LIBRARIES = (
    "numpy",
    "onnxruntime",
    "pyvips",
    "simplejpeg",
    "jpeglib",
    "Pillow",
    "pylibjpeg-openjpeg",
    "typer",
    "rich",
)
_OPTIONAL = {"pillow-heif": "heif", "torch": "train"}


def doctor(as_json: Annotated[bool, typer.Option("--json", help="As JSON on stdout.")] = False) -> None:
    """Print versions, device, threads and network. Exit code 3 if the network can't be used."""
    facts, problems = examine()
    if as_json:
        sys.stdout.write(json.dumps({**facts, "problems": problems}) + "\n")
    else:
        table((key, str(value)) for key, value in facts.items())
    for problem in problems:
        say(f"error: {problem}")
    raise typer.Exit(ModelError.exit_code if problems else 0)


def examine() -> tuple[dict[str, Any], list[str]]:
    """What there is, by name, and one line for each thing that is not as it should be."""
    from importlib.metadata import PackageNotFoundError, version

    from tintype.weights import cache_folder

    facts: dict[str, Any] = {"tintype": __version__, "python": platform.python_version(), "system": platform.platform()}
    problems: list[str] = []
    for name in (*_LIBRARIES, *_OPTIONAL):
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            facts[name] = "missing"
            if name in _OPTIONAL:
                facts[name] = f"not installed (pip install 'tintype[{_OPTIONAL[name]}]')"
            else:
                problems.append(f"{name} is missing: pip install tintype")
    facts["threads"] = os.environ.get("TINTYPE_THREADS") or cores_here()
    facts["cache"] = str(cache_folder())
    try:
        _examine_network(facts)
    except TintypeError as error:
        problems.append(str(error))
    except (ImportError, OSError) as error:
        problems.append(f"a library can't be loaded: {error}")
    return facts, problems


def _examine_network(facts: dict[str, Any]) -> None:
    """Load the embedded network, as `colorize` would. Raises TintypeError, ImportError, OSError."""
    import pyvips

    from tintype.cards import CARDS
    from tintype.methods import build
    from tintype.methods.neural import devices

    facts["libvips"] = ".".join(str(pyvips.version(k)) for k in range(3))
    asked = os.environ.get("TINTYPE_DEVICE") or "auto"
    facts["device"] = devices()[0] if asked == "auto" else asked
    facts["model"] = "tint"
    facts["sha256"] = CARDS["tint"].sha256
    build("tint", asked)
