"""benchmarks/calibration.py, on a few pictures."""

from __future__ import annotations

import re
import runpy
import sys
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data as photographs

from tintype.colorizer import Colorizer
from tintype.evaluate.metrics import colourfulness
from tintype.picture.color import luma_of

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "calibration.py"
NAMES = ("astronaut", "chelsea", "coffee", "rocket")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four photographs in colour, a grey one, and a file that is none."""
    where = tmp_path_factory.mktemp("pictures")
    for name in (*NAMES, "camera"):
        picture = Image.fromarray(getattr(photographs, name)()).convert("RGB")
        picture.thumbnail((120, 120))
        picture.save(where / f"{name}.png")
    (where / "text.png").write_text("not a picture")
    return where


@pytest.fixture
def calibration(monkeypatch, capsys):
    """calibration("tint", ...) -> what it prints, as if it were run."""

    def run(*args):
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, args)])
        monkeypatch.syspath_prepend(SCRIPT.parent)
        runpy.run_path(str(SCRIPT), run_name="__main__")
        return capsys.readouterr().out

    return run


def rows(printed, title):
    """The cells of the table whose first column is called `title`."""
    lines = printed.partition(f"\n| {title} |")[2].splitlines()[2:]
    table = takewhile(lambda line: line.startswith("|"), lines)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def test_three_tables_and_a_plot(folder, calibration, tmp_path):
    plot = tmp_path / "plot.png"
    printed = calibration(
        *("tint", "--data", folder, "-o", plot, "--seed", "4"),
        *("--temperatures", "0.7", "1", "--gains", "1", "2"),
    )
    first = printed.splitlines()[0]
    assert re.match(
        r"\d{4}-\d\d-\d\d, .*seed 4: tint, 4 pictures of .*; left out: 1 nearly grey, 1 that can't be read", first
    )
    honest = rows(printed, "cells")
    assert len(honest) == 4 and [row[1] for row in honest[::2]] == ["1.000", "1.000"]
    decodes = rows(printed, "temperature")
    tried = {tuple(row[:2]) for row in decodes}
    assert tried >= {(t, g) for t in ("0.7", "1") for g in ("1", "2")}
    met = [row for row in decodes if abs(float(row[3])) < 0.5]
    best = min(met, key=lambda row: float(row[4]))
    chosen = f"temperature {best[0]} and gain {best[1]}"
    assert f"{chosen} have the lowest ab RMSE, {best[5]} against grey" in printed
    greys = {row[1]: float(row[6].split()[0]) for row in decodes if row[0] == "1"}
    assert greys["2"] > greys["1"], "more colour, more of it where there was none"
    assert Image.open(plot).size[0] > 1000

    truth = np.mean([colourfulness(np.asarray(Image.open(folder / f"{name}.png"))) for name in NAMES])
    assert f"mean colourfulness is {truth:.2f}" in printed
    greys = [luma_of(np.asarray(Image.open(folder / f"{name}.png"))) for name in NAMES]
    ours = np.mean([colourfulness(Colorizer("tint").colorize_array(grey)) for grey in greys])
    strengths = {float(row[0]): row for row in rows(printed, "strength")}
    assert list(strengths) == [k / 4 for k in range(9)] and float(strengths[0][1]) == 0
    assert strengths[1][1] == strengths[1][2] == f"{ours:.2f}", "the whole pipeline, as evaluate has it"
    assert float(strengths[2][1]) < float(strengths[2][2]), "the gamut holds colours back"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("grey",), "grey: has no mean chroma and classes of chroma"),
        (("tnit",), "known: tint"),
        (("tint", "--gains", "1"), "expected two gains or more"),
        (("tint", "--temperatures", "0"), "temperatures above 0"),
        (("tint", "--seed", "-1"), "--seed is -1"),
        (("tint", "-o", "plot.txt"), "plot.txt: is no kind of picture that can be drawn"),
        (("tint", "--data", "nowhere"), "nowhere: holds no"),
    ],
)
def test_bad_input_is_one_line(folder, calibration, args, words):
    with pytest.raises(SystemExit) as stop:
        calibration(*args, *(() if "--data" in args else ("--data", folder)))
    assert words in str(stop.value) and "\n" not in str(stop.value)


def test_fewer_than_two_pictures(folder, calibration):
    with pytest.raises(SystemExit, match="two pictures with colour or more"):
        calibration("tint", "--data", folder / "camera.png", folder / "coffee.png")
