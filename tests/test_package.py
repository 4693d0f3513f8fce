"""The wheel, away from its source: installed in a clean environment it colorizes, without torch and below its size."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel that is built from it."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--outdir", out, ROOT], check=True, capture_output=True)
    return out


@pytest.fixture(scope="module")
def clean(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a new environment with nothing but the wheel and what it needs."""
    home = tmp_path_factory.mktemp("clean")
    venv.create(home, with_pip=True)
    wheel = next(built.glob("*.whl"))
    subprocess.run([home / "bin" / "pip", "install", "--quiet", wheel], check=True)
    return home / "bin"


def test_sdist_and_wheel_hold_what_they_should(built: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = wheel.namelist()
    assert "tintype/data/tint.onnx" in names and "tintype/py.typed" in names
    assert not [n for n in names if n.startswith(("tests", "examples", "benchmarks"))]
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        assert any(n.endswith("src/tintype/data/tint.onnx") for n in sdist.getnames())
        assert any(n.endswith("LICENSE") for n in sdist.getnames())


def test_the_wheel_colorizes_without_its_source(clean: Path, tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    source = ROOT / "examples" / "astronaut.jpg"
    command = [clean / "tintype", "colorize", source, "-o", "out.png"]
    subprocess.run(command, check=True, cwd=tmp_path, env=environment)
    result = Image.open(tmp_path / "out.png")
    assert result.mode == "RGB"
    assert np.array_equal(np.asarray(result.convert("L")), np.asarray(Image.open(source).convert("L")))
    assert np.asarray(result).std(axis=2).mean() > 1, "it has colour"


def test_the_base_install_is_small_and_has_no_torch(clean: Path) -> None:
    packages = next((clean.parent / "lib").glob("python*")) / "site-packages"
    assert not (packages / "torch").exists()
    size = sum(p.stat().st_size for p in packages.rglob("*") if p.is_file() and not p.is_symlink())
    assert size < 400e6, f"{size / 1e6:.0f} MB"
