"""The verbs `colorize` and `gray` on pictures as they should be. `wash` colours without a network."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .conftest import Run, is_whole

WASH = ("--method", "wash")


def test_beside_the_input_by_default(tintype: Run, examples: Path, tmp_path: Path) -> None:
    shutil.copy(examples / "camera.png", tmp_path)
    done = tintype("colorize", "camera.png", *WASH)
    assert (done.returncode, done.stdout) == (0, "")
    assert "camera.png -> camera-color.png" in done.stderr
    result = Image.open(tmp_path / "camera-color.png")
    assert result.mode == "RGB"
    assert np.array_equal(result.convert("L"), Image.open(examples / "camera.png"))
    assert np.ptp(np.asarray(result).astype(int), axis=2).max() > 0


def test_a_folder_keeps_its_tree(tintype: Run, examples: Path, tmp_path: Path) -> None:
    album = tmp_path / "album"
    (album / "1890" / "summer").mkdir(parents=True)
    (album / ".thumbnails").mkdir()
    shutil.copy(examples / "astronaut.jpg", album)
    shutil.copy(examples / "cat.jpg", album / "1890" / "summer" / "CAT.JPG")
    shutil.copy(examples / "cat.jpg", album / ".thumbnails")
    (album / "notes.txt").write_text("not a picture")
    done = tintype("colorize", "album", "-o", "color", *WASH)
    assert done.returncode == 0
    found = sorted(str(p.relative_to(tmp_path / "color")) for p in (tmp_path / "color").rglob("*") if p.is_file())
    assert found == ["1890/summer/CAT.JPG", "astronaut.jpg"]
    assert "2 of 2 done" in done.stderr


def test_a_folder_beside_itself_is_not_colored_twice(tintype: Run, examples: Path, tmp_path: Path) -> None:
    shutil.copytree(examples, tmp_path / "e")
    assert tintype("colorize", "e", *WASH).returncode == 0
    names = sorted(p.name for p in (tmp_path / "e").iterdir())
    done = tintype("colorize", "e", *WASH, "--overwrite", "--json")
    assert done.returncode == 0
    assert sorted(p.name for p in (tmp_path / "e").iterdir()) == names
    assert not any("-color" in json.loads(line)["input"] for line in done.stdout.splitlines())


def test_results_inside_the_folder_are_not_inputs(tintype: Run, examples: Path, tmp_path: Path) -> None:
    shutil.copytree(examples, tmp_path / "e")
    for _ in range(2):
        assert tintype("colorize", "e", "-o", "e/color", *WASH, "--overwrite").returncode == 0
    assert not (tmp_path / "e" / "color" / "color").exists()


def test_quoted_globs(tintype: Run, examples: Path, tmp_path: Path) -> None:
    done = tintype("colorize", examples / "*.jpg", "-o", "out", *WASH, "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["astronaut.jpg", "cat.jpg", "rocket.jpg"]


def test_json_is_one_object_per_input(tintype: Run, examples: Path, tmp_path: Path) -> None:
    done = tintype("colorize", examples, "missing.jpg", "-o", "out", *WASH, "--json")
    assert done.returncode == 1
    told = {Path(each["input"]).name: each for each in map(json.loads, done.stdout.splitlines())}
    assert set(told) == {p.name for p in examples.iterdir() if p.suffix != ".md"} | {"missing.jpg"}
    assert told["missing.jpg"]["error"] and told["missing.jpg"]["output"] is None
    coffee = told["coffee.tif"]
    assert (coffee["size"], coffee["method"], coffee["error"]) == ([600, 400], "wash", None)
    assert is_whole(tmp_path / coffee["output"])


def test_the_same_bytes_whatever_the_jobs(tintype: Run, examples: Path, tmp_path: Path) -> None:
    for jobs in ("1", "3"):
        assert tintype("colorize", examples, "-o", jobs, "--jobs", jobs, *WASH).returncode == 0
    for path in (tmp_path / "1").iterdir():
        assert path.read_bytes() == (tmp_path / "3" / path.name).read_bytes(), path.name


def test_pipes(tintype: Run, examples: Path, tmp_path: Path) -> None:
    source = examples / "astronaut.jpg"
    done = tintype("colorize", "-", *WASH, stdin=source.read_bytes(), binary=True)
    assert done.returncode == 0
    (tmp_path / "a.jpg").write_bytes(done.stdout)
    assert Image.open(tmp_path / "a.jpg").mode == "RGB"
    done = tintype("gray", "-", "-o", "-", "--format", "png", stdin=done.stdout, binary=True)
    assert done.returncode == 0 and done.stdout.startswith(b"\x89PNG")
    done = tintype("colorize", source, "-o", "-", *WASH, "--json", binary=True)
    assert (done.returncode, done.stdout) == (2, b"")


def test_variants(tintype: Run, examples: Path, tmp_path: Path) -> None:
    done = tintype("colorize", examples / "cat.jpg", "-o", "cat.png", "--variants", "3", *WASH, "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["outputs"] == ["cat-1.png", "cat-2.png", "cat-3.png"]
    assert all(is_whole(tmp_path / f"cat-{k}.png") for k in (1, 2, 3))
    done = tintype("colorize", examples / "cat.jpg", "-o", "x.png", "--variants", "2", "--decode", "mean")
    assert done.returncode == 2


def test_side_by_side(tintype: Run, examples: Path, tmp_path: Path) -> None:
    shutil.copy(examples / "cat.jpg", tmp_path)
    assert tintype("colorize", "cat.jpg", "--side-by-side", *WASH).returncode == 0
    result = Image.open(tmp_path / "cat-side.jpg")
    assert result.width > 1.9 * 451 and result.height >= 300  # upright, twice as wide


def test_strength_nought_is_grey(tintype: Run, examples: Path, tmp_path: Path) -> None:
    assert tintype("colorize", examples / "camera.png", "-o", "g.png", "--strength", "0", *WASH).returncode == 0
    assert np.ptp(np.asarray(Image.open(tmp_path / "g.png")).astype(int), axis=2).max() == 0


def test_gray_gives_the_original_back(tintype: Run, examples: Path, tmp_path: Path) -> None:
    assert tintype("colorize", examples, "-o", "color", *WASH).returncode == 0
    assert tintype("gray", "color", "-o", "gray").returncode == 0
    for name in ("astronaut.jpg", "cat.jpg", "camera.png", "grass.webp"):
        before, after = (np.asarray(Image.open(folder / name).convert("L")) for folder in (examples, tmp_path / "gray"))
        # WebP can't keep luma exactly unless it is written without loss.
        assert np.abs(before.astype(int) - after).max() <= (0 if name != "grass.webp" else 2), name


def test_nothing_is_overwritten_unasked(tintype: Run, examples: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"precious")
    done = tintype("colorize", examples / "cat.jpg", "-o", "a.jpg", *WASH)
    assert done.returncode == 1 and "--overwrite" in done.stderr
    assert (tmp_path / "a.jpg").read_bytes() == b"precious"
    assert tintype("colorize", examples / "cat.jpg", "-o", "a.jpg", *WASH, "--overwrite").returncode == 0
    assert is_whole(tmp_path / "a.jpg")


@pytest.mark.parametrize("name", ["ä b ☃.jpg", "-dash.jpg", "two\nlines.jpg", "[1].jpg"])
def test_odd_names(tintype: Run, examples: Path, tmp_path: Path, name: str) -> None:
    shutil.copy(examples / "cat.jpg", tmp_path / name)
    done = tintype("colorize", *WASH, "--", name)
    assert done.returncode == 0, done.stderr
    assert is_whole(tmp_path / f"{Path(name).stem}-color.jpg")
