"""benchmarks/precision.py: what a file's colours differ by from another's."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image
from skimage import data as photographs

from tintype.cards import CARDS
from tintype.colorizer import Colorizer
from tintype.evaluate.metrics import View, lab
from tintype.picture.color import luma_of
from tintype.train import export
from tintype.weights import verified

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "precision.py"
TINT = verified(CARDS["tint"])


@pytest.fixture
def precision(monkeypatch, capsys):
    """precision(...) -> the rows that it prints, as if it were run."""

    def run(*args):
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, args)])
        runpy.run_path(str(SCRIPT), run_name="__main__")
        lines = capsys.readouterr().out.splitlines()
        return lines[0], [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[3:]]

    return run


def test_the_table(precision, tmp_path):
    pictures = {name: getattr(photographs, name)()[100:220, 100:260] for name in ("astronaut", "coffee")}
    (tmp_path / "pictures").mkdir()
    for name, rgb in pictures.items():
        Image.fromarray(rgb).save(tmp_path / "pictures" / f"{name}.png")
    export.export_file(TINT, tmp_path / "float.onnx", {}, half=False)
    export.export_file(TINT, tmp_path / "strong.onnx", {"gain": "1.8"})
    told, rows = precision(
        tmp_path / "pictures",
        "--every",
        "1",
        "--float",
        tmp_path / "float.onnx",
        "--other",
        TINT,
        tmp_path / "strong.onnx",
    )
    assert "2 pictures of pictures, annealed" in told
    exact, half, strong = rows
    assert [row[0] for row in rows] == ["float.onnx", "tint.onnx", "strong.onnx"]
    assert exact[5:7] == ["0.00", "0.00"] and exact[8] == "1.00" and exact[3] == half[3] and float(half[5]) < 0.01
    assert float(exact[1]) == pytest.approx(2 * float(half[1]), rel=0.01)

    apart = []
    for rgb in pictures.values():
        one, other = (Colorizer(str(path)).colorize_array(luma_of(rgb)) for path in (TINT, tmp_path / "strong.onnx"))
        apart.append(np.sqrt(((lab(one) - lab(other)) ** 2).sum(-1)).ravel())
    apart = np.concatenate(apart)
    assert float(strong[5]) == pytest.approx(apart.mean(), abs=0.02) and apart.mean() > 0.5
    assert float(strong[6]) == pytest.approx(np.percentile(apart, 99), abs=0.05)


def test_distances_are_counted_as_they_are():
    distances = runpy.run_path(str(SCRIPT))["Distances"]()
    rng = np.random.default_rng(0)
    one, other = (View(rng.integers(0, 256, (50, 70, 3), np.uint8)) for _ in range(2))
    distances.update(one, other)
    distances.update(one, one)
    apart = np.concatenate([np.sqrt(((one.lab - other.lab) ** 2).sum(-1)).ravel(), np.zeros(3500)])
    assert distances.mean == pytest.approx(apart.mean(), rel=1e-5)
    for share in (30, 60, 99):
        assert distances.percentile(share) == pytest.approx(np.percentile(apart, share), abs=0.1)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("nowhere", "--float", TINT), "nowhere: holds no"),
        ((".", "--float", "missing.onnx"), "there is no file missing.onnx"),
        ((".", "--float", "tint"), "tint: expected an ONNX file"),
        ((".", "--float", TINT, "--every", "0"), "--every is 0"),
    ],
)
def test_bad_input_is_one_line(precision, args, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        precision(*args)
    assert words in str(stop.value) and "\n" not in str(stop.value)


def test_a_file_of_the_shipped_network_comes_back_as_it_was(tmp_path):
    """Weights that were halved lose nothing more by being widened and halved again."""
    export.export_file(TINT, tmp_path / "float.onnx", {}, half=False)
    wide = onnx.load(tmp_path / "float.onnx")
    assert not [node for node in wide.graph.node if node.op_type == "Cast"]
    assert {numpy_helper.to_array(t).dtype.name for t in wide.graph.initializer} == {"float32", "int64"}
    export.export_file(tmp_path / "float.onnx", tmp_path / "half.onnx", {})
    assert (tmp_path / "half.onnx").read_bytes() == TINT.read_bytes()
