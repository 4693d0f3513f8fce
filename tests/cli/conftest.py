"""The real command, in a process of its own, on real pictures."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

Run = Callable[..., "subprocess.CompletedProcess[Any]"]


@pytest.fixture
def examples() -> Path:
    return EXAMPLES


@pytest.fixture
def tintype(tmp_path: Path) -> Run:
    """tintype("colorize", "a.jpg", ...) runs in an empty folder; no run may print a traceback or leave temporary files."""

    def run(*args: str | Path, stdin: bytes | None = None, binary: bool = False, **more: Any) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "tintype", *map(str, args)],
            input=stdin if stdin is not None else b"",
            capture_output=True,
            cwd=tmp_path,
            timeout=120,
            **more,
        )
        words = done.stderr.decode()
        assert "Traceback" not in words, words
        assert leftovers(tmp_path) == []
        done.stderr = words
        if not binary:
            done.stdout = done.stdout.decode()
        return done

    return run


def leftovers(folder: Path) -> list[Path]:
    """Files that are half written, or empty though they have a picture's name."""
    every = [Path(here) / name for here, _, names in os.walk(folder) for name in names]
    return [path for path in every if path.name.startswith(".")]


def is_whole(path: Path) -> bool:
    """Whether the picture can be decoded to its end."""
    with Image.open(path) as picture:
        picture.load()
        return picture.size > (0, 0)
