"""Real pictures to train on, a few and small."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data as photographs

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 60 cuttings of photographs."""
    rng = np.random.default_rng(0)
    where = tmp_path_factory.mktemp("pictures")
    for name in ("astronaut", "chelsea", "coffee"):
        rgb = getattr(photographs, name)()
        for k in range(20):
            y, x = (int(rng.integers(0, n - 100)) for n in rgb.shape[:2])
            Image.fromarray(rgb[y : y + 90, x : x + 100]).save(where / f"{name}{k}.png")
    return where


@pytest.fixture
def tintype(tmp_path: Path) -> Command:
    """tintype("train", ...) is the real command, in a process of its own."""

    def run(*args: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tintype", *map(str, args)]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300, **more)

    return run
