"""benchmarks/experiments.py, on two experiments of a few steps with a network of thimble size."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image
from skimage import data as photographs

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "experiments.py"


@pytest.fixture(scope="module")
def place(thimble, tmp_path_factory):
    """A folder with pictures, configs and what comes of them."""
    where = tmp_path_factory.mktemp("experiments")
    for folder in ("pictures", "configs"):
        (where / folder).mkdir()
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        picture = Image.fromarray(getattr(photographs, name)())
        picture.thumbnail((96, 96))
        picture.save(where / "pictures" / f"{name}.png")
    changed = {
        "base": thimble,
        "wider": {"base": "base.yaml", "widths": [8, 16, 16, 32, 64]},
        "other": {"base": "../elsewhere.yaml"},
    }
    for name, config in changed.items():
        (where / "configs" / f"{name}.yaml").write_text(yaml.safe_dump(config))
    return where


@pytest.fixture
def experiments(monkeypatch, capfd, place):
    """experiments(...) -> what it prints, as if it were run; or why it stopped."""

    def run(*more):
        places = ("--data", place / "pictures", "--test", place / "pictures", "--configs", place / "configs")
        words = [*places, "--runs", place / "runs", "--jobs", 1, *more]
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, words)])
        monkeypatch.syspath_prepend(SCRIPT.parent)
        try:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        except SystemExit as stopped:
            return str(stopped.code)
        return capfd.readouterr().out

    return run


def test_experiments_are_trained_once_and_each_is_held_against_grey_and_the_base(experiments, place):
    printed = experiments()
    lines = [line for line in printed.splitlines() if line.startswith("| ")]
    rows = {cells[0]: cells for cells in ([c.strip() for c in line.split("|")[1:-1]] for line in lines)}
    assert list(rows) == ["run", "base", "wider"], "other.yaml has another base"
    assert rows["run"][-2:] == ["pictures, against grey", "pictures, against base"]
    assert rows["wider"][1] == "`widths: [8, 16, 16, 32, 64]`"
    parameters = [int(rows[name][2].replace(",", "")) for name in ("base", "wider")]
    assert parameters[0] < parameters[1]
    figure = r"[+-]\d+\.\d( %)? \[[+-]\d+\.\d, [+-]\d+\.\d\]"
    assert re.fullmatch(figure, rows["base"][-2]) and re.fullmatch(figure, rows["wider"][-1])
    kept = (place / "runs" / "base" / "checkpoint.pt").stat().st_mtime_ns
    again = experiments("--only", "wider")
    assert again.splitlines()[1:] == printed.splitlines()[1:], "the same pictures, the same networks"
    assert (place / "runs" / "base" / "checkpoint.pt").stat().st_mtime_ns == kept


def test_what_can_t_be_run_is_said_in_a_line(experiments, place):
    assert "there is no experiment widr; did you mean wider?" in experiments("--only", "widr")
    (place / "configs" / "wider.yaml").write_text(yaml.safe_dump({"base": "base.yaml", "seed": 4}))
    assert "wider.yaml" in experiments() and "another --runs" in experiments()
