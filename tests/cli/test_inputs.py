"""From arguments to jobs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tintype.cli.inputs import COLORED_ENDING, Found, Naming, find, plan
from tintype.errors import UsageError

ENDINGS = (".jpg", ".pgm", ".ppm", ".png")
COLOR = Naming("color", endings=tuple(COLORED_ENDING.items()))


def outputs(found: list[Found], out: str | None, naming: Naming = COLOR) -> list[str]:
    return [output for job in plan(found, out, naming, ENDINGS) for output in job.outputs]


def test_names_beside_the_input() -> None:
    assert outputs([Found("a/x.jpg"), Found("y.PGM")], None) == ["a/x-color.jpg", "y-color.ppm"]


def test_variants_are_numbered() -> None:
    assert outputs([Found("x.jpg")], None, Naming("color", 2)) == ["x-color-1.jpg", "x-color-2.jpg"]
    assert outputs([Found("x.jpg")], "y.png", Naming("color", 2)) == ["y-1.png", "y-2.png"]


def test_one_file_to_one_file_or_into_a_folder(tmp_path: Path) -> None:
    assert outputs([Found("x.jpg")], "y.png") == ["y.png"]
    assert outputs([Found("a/x.jpg")], "new/") == ["new/x.jpg"]
    assert outputs([Found("a/x.jpg")], str(tmp_path)) == [str(tmp_path / "x.jpg")]
    assert outputs([Found("a/b/x.jpg", "b/x.jpg")], "new") == ["new/b/x.jpg"]


def test_what_might_be_several_goes_into_a_folder() -> None:
    assert [job.outputs for job in plan([Found("a/x.jpg")], "out", COLOR, ENDINGS, several=True)] == [("out/x.jpg",)]
    assert [job.outputs for job in plan([Found("a/x.jpg")], "y.png", COLOR, ENDINGS, several=True)] == [("y.png",)]
    with pytest.raises(UsageError, match="ending"):
        plan([Found("a/x.jpg")], "out", COLOR, ENDINGS)


def test_same_names_are_refused() -> None:
    with pytest.raises(UsageError, match="one by one"):
        plan([Found("x.pgm"), Found("x.ppm")], None, COLOR, ENDINGS)


def test_finding(tmp_path: Path) -> None:
    results = ("a-color.jpg", "a-color-2.jpg", "b-side.jpg")
    for name in ("b.jpg", "a.JPG", "in-color.jpg", ".hidden.jpg", "c.txt", "d/e.png", *results):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found, failed = find([str(tmp_path)], ENDINGS, skip=("color", "side"))
    # in-color.jpg is nobody's result: there is no "in".
    assert [f.below for f in found] == ["a.JPG", "b.jpg", "in-color.jpg", "d/e.png"] and failed == []
    found, failed = find([str(tmp_path / "*.txt"), str(tmp_path / "c.txt"), "gone", "gone*"], ENDINGS)
    assert [f.source for f in found] == [str(tmp_path / "c.txt")] and [f.source for f in failed] == ["gone", "gone*"]


def test_results_in_the_folder_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.jpg").touch()
    (tmp_path / "a.jpg").touch()
    found, _ = find([str(tmp_path)], ENDINGS, out=tmp_path / "out")
    assert [f.below for f in found] == ["a.jpg"]


def test_a_folder_that_cannot_be_listed_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "locked").mkdir()
    (tmp_path / "a.jpg").touch()
    real = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found, failed = find([str(tmp_path)], ENDINGS)
    assert [f.below for f in found] == ["a.jpg"]
    assert [f.error for f in failed] == [f"{tmp_path / 'locked'}: Permission denied (check its permissions)"]
