"""Help, version, models, doctor; and what may not be loaded for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tintype as package
from tintype.cards import CARDS

from .conftest import Run


@pytest.mark.parametrize("args", [(), ("--help",), ("colorize", "--help"), ("gray", "-h"), ("models", "--help")])
def test_help(tintype: Run, args: tuple[str, ...]) -> None:
    done = tintype(*args)
    assert done.returncode == (0 if args else 2)
    assert "Usage:" in done.stdout + done.stderr


def test_help_loads_nothing_heavy() -> None:
    code = "import sys, tintype.cli; print(*sys.modules)"
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split())
    assert "typer" in loaded
    assert not loaded & {
        "numpy",
        "onnxruntime",
        "PIL",
        "pyvips",
        "jpeglib",
        "tifffile",
        "rich",
        "torch",
        "multiprocessing",
    }


def test_version(tintype: Run) -> None:
    assert tintype("--version").stdout == f"tintype {package.__version__}\n"


def test_models(tintype: Run) -> None:
    listed = tintype("models", "list").stdout
    assert all(name in listed for name in CARDS)
    assert {card["name"] for card in json.loads(tintype("models", "list", "--json").stdout)} == set(CARDS)
    assert "licence" in tintype("models", "show", "tint").stdout
    assert tintype("models", "show", "nobody").returncode == 2
    assert tintype("models", "verify", "nobody").returncode == 2


def test_the_embedded_network_is_whole(tintype: Run) -> None:
    done = tintype("models", "verify")
    assert done.returncode == 0, done.stderr
    told = json.loads(tintype("doctor", "--json").stdout)
    assert told["problems"] == [] and told["sha256"] == CARDS["tint"].sha256 and told["device"]


def test_doctor_names_what_is_wrong(tintype: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINTYPE_DEVICE", "abacus")
    done = tintype("doctor")
    assert done.returncode == 3 and "abacus" in done.stderr
    assert "onnxruntime" in done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(tintype: Run, shell: str) -> None:
    done = tintype(env={**os.environ, "_TINTYPE_COMPLETE": f"source_{shell}"})
    assert "tintype" in done.stdout


def test_training_without_torch_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").touch()
    code = "import sys; sys.modules['torch'] = None; from tintype.cli import main; main()"
    command = [sys.executable, "-c", code, "train", str(tmp_path / "c.yaml"), "-o", "run", "--data", "x"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 3 and "tintype[train]" in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("args", [("-o", "-"), ("-o", "x.jpg", "--json")])
def test_a_full_standard_output_is_one_line(examples: Path, tmp_path: Path, args: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "tintype", "colorize", str(examples / "cat.jpg"), "--method", "wash", *args]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    errors = [line for line in done.stderr.splitlines() if "error" in line]
    assert done.returncode == 1 and len(errors) == 1 and "space" in errors[0], done.stderr
    assert "Traceback" not in done.stderr and "internal" not in done.stderr
