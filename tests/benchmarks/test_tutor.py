"""benchmarks/tutor.py, on a run of thimble size; and a student who listens."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import torch
import yaml
from PIL import Image
from skimage import data as photographs

from tintype.train.fit import fit
from tintype.train.recipe import Config

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "tutor.py"


def test_a_student_comes_nearer_to_what_its_tutor_tells(thimble, tmp_path, monkeypatch):
    (tmp_path / "pictures").mkdir()
    for name in ("astronaut", "coffee"):
        picture = Image.fromarray(getattr(photographs, name)())
        picture.thumbnail((64, 64))
        picture.save(tmp_path / "pictures" / f"{name}.png")

    def train(name, tutor=None, **changes):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(thimble | changes))
        config = Config.read(tmp_path / f"{name}.yaml")
        fit(config, [str(tmp_path / "pictures")], tmp_path / name, tmp_path / "cache", workers=0, tutor=tutor)

    train("first")
    file = tmp_path / "tutor.ts"
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(tmp_path / "first"), "-o", str(file)])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    tutor = torch.jit.load(file)
    luma = torch.rand(2, 1, 64, 96)
    assert torch.allclose(tutor(luma.flip(3)), tutor(luma).flip(3), atol=1e-5), "it sees the mirror image as well"

    phases = [dict(steps=200, size=32, batch=4, area=[0.5, 1.0])]
    train("second", file, tutor_weight=1.0, seed=4, phases=phases)
    lines = [line.split(",") for line in (tmp_path / "second" / "log.csv").read_text().splitlines()]
    apart = np.array([line[lines[0].index("tutor")] for line in lines[1:]], float)
    assert 0 <= apart[-1] < apart[0]
