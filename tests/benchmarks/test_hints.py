"""benchmarks/hints.py, with networks of thimble size."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from skimage import data as photographs

from tintype.nets.tint import Tint
from tintype.train.export import about_tint, export_tint

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "hints.py"


@pytest.fixture
def hints(monkeypatch, capsys, tmp_path):
    """hints(hinted) -> what is printed for a network that takes hints, or not; or why it stopped."""
    (tmp_path / "pictures").mkdir()
    for name in ("astronaut", "chelsea", "coffee"):
        picture = Image.fromarray(getattr(photographs, name)())
        picture.thumbnail((96, 96))
        picture.save(tmp_path / "pictures" / f"{name}.png")

    def run(hinted):
        torch.manual_seed(0)
        net = Tint(torch.rand(16, 2) - 0.5, (8, 16, 16, 32, 32), (1, 1, 1, 1), (1, 1, 1), hinted=hinted).eval()
        export_tint(net, tmp_path / "net.onnx", about_tint(net))
        words = [str(SCRIPT), str(tmp_path / "net.onnx"), "--data", str(tmp_path / "pictures")]
        monkeypatch.setattr(sys, "argv", words)
        try:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        except SystemExit as stopped:
            return f"{stopped.code} {capsys.readouterr().err}"
        return capsys.readouterr().out

    return run


def test_a_row_for_each_number_of_points_against_none(hints):
    printed = hints(True)
    rows = [[c.strip() for c in line.split("|")[1:-1]] for line in printed.splitlines() if line.startswith("| ")]
    assert "3 pictures" in printed
    assert [row[0] for row in rows[1:]] == ["0", "1", "2", "5", "10", "20", "50", "100"]
    assert rows[1][2] == "+0.00 [+0.00, +0.00]"
    assert rows[-1][2] != rows[1][2], "what is told makes a difference"


def test_a_network_that_takes_none_is_refused(hints):
    assert "takes no hints" in hints(False)
