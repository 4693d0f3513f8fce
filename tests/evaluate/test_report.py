"""The real command on real pictures: what it measures, writes, refuses, and goes on with."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data as photographs

from tintype.colorizer import Colorizer
from tintype.errors import TintypeError
from tintype.evaluate import measuring
from tintype.evaluate.candidates import Sample, candidate
from tintype.evaluate.measuring import Part
from tintype.evaluate.metrics import Stream, View
from tintype.evaluate.plan import GREY, Plan
from tintype.evaluate.speed import _alone
from tintype.methods.method import Options
from tintype.picture.color import luma_of
from tintype.weights import sha256_of

Command = Callable[..., "subprocess.CompletedProcess[str]"]

#: The networks that the package has; the published ones would only be named as missing.
OURS = ("--features", "features", "--distance", "features", "--no-speed")


@pytest.fixture(scope="session")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty cuttings of photographs."""
    rng = np.random.default_rng(1)
    folder = tmp_path_factory.mktemp("originals")
    for name in ("astronaut", "chelsea", "coffee"):
        rgb = getattr(photographs, name)()
        for k in range(10):
            y, x = (int(rng.integers(0, n - 120)) for n in rgb.shape[:2])
            Image.fromarray(rgb[y : y + 96, x : x + 120]).save(folder / f"{name}{k}.png")
    return folder


def command(*args: str | Path) -> list[str]:
    return [sys.executable, "-m", "tintype", *map(str, args)]


@pytest.fixture
def tintype(tmp_path: Path) -> Command:
    def run(*args: str | Path) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(command(*args), capture_output=True, text=True, cwd=tmp_path, timeout=300)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return run


@pytest.fixture(scope="session")
def report(originals: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on three methods and the grey picture."""
    out = tmp_path_factory.mktemp("report") / "out"
    reference = originals / "coffee0.png"
    methods = ("tint@mean", "vivid=tint", f"welsh:{reference}")
    done = subprocess.run(
        command("evaluate", *methods, "--data", originals, "-o", out, *OURS[:-1]),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "30 of 30 pictures" in done.stderr and "report.html" in done.stderr
    assert "ab RMSE" in done.stdout and "vivid" in done.stdout
    return out


@pytest.fixture(scope="session")
def told(report: Path) -> Any:
    return json.loads((report / "results.json").read_text())


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_page_needs_nothing_else(report: Path) -> None:
    page = (report / "report.html").read_text()
    assert not re.search(r"<(script|link|iframe)|@import|url\((?!#)", page)
    assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', page)
    assert all(f">{name}<" in page for name in ("tint mean", "vivid", "welsh", "grey"))
    assert page.count("<svg") == 2 and page.count("data:image/webp") > 50
    assert len(page) < 6_000_000


def test_our_luma_is_exact(told: Any) -> None:
    for measure, want in (("luma_error", 0), ("luma_exact", 1)):
        for one in told["measures"][measure]["candidates"]:
            assert one["mean"] == want and one["count"] == 30, one


def test_grey_is_the_line(told: Any) -> None:
    named = {one["name"]: one for one in told["candidates"]}
    assert named["grey"]["ab_rmse_against_grey"] == 0
    assert named["grey"]["turing"]["all"]["auc"] > 0.95
    own = {name: one["frechet"]["tintype features"] for name, one in named.items()}
    assert own["grey"] > 0 and own["welsh"] > 0


def test_figures_are_those_of_each_picture_by_itself(report: Path, originals: Path, told: Any) -> None:
    stream, colorizer = Stream(), Colorizer("tint", threads=1)
    each = {row["picture"]: row for row in rows(report / "pictures.csv") if row["method"] == "tint mean"}
    for path in sorted(originals.glob("*.png")):
        if not each[str(path)]["ab_rmse"]:  # some cuttings have no colour
            continue
        rgb = np.asarray(Image.open(path))
        result = colorizer.colorize_array(luma_of(rgb), options=Options(decode="mean"))
        figures = stream.update(View(result), View(rgb))
        for name in ("ab_rmse", "psnr", "pa", "luma_exact"):
            assert float(each[str(path)][name]) == pytest.approx(figures[name], rel=1e-4)
    assert stream.pictures > 20
    whole = stream.compute()
    one = next(one for one in told["candidates"] if one["name"] == "tint mean")
    assert one["ab_rmse_all_pixels"] == pytest.approx(whole["pooled_ab_rmse"], rel=1e-4)
    mean = next(m for m in told["measures"]["delta_e2000"]["candidates"] if m["method"] == "tint mean")
    assert mean["mean"] == pytest.approx(whole["delta_e2000"], rel=1e-4)


def test_differences_are_to_the_baseline(report: Path) -> None:
    summary = rows(report / "summary.csv")
    assert {"ab_rmse", "ab_rmse_against_grey", "frechet tintype features", "turing all"} <= {
        r["measure"] for r in summary
    }
    for row in summary:
        if row["method"] == "tint mean":
            assert row["difference"] == ""
        elif row["measure"] == "ab_rmse":
            assert float(row["difference_low"]) <= float(row["difference"]) <= float(row["difference_high"])
            assert 0 < float(row["p"]) <= 1


def test_the_classifier_is_shown_what_was_drawn(originals: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "TOLD", 2)
    for subset, shown in ((0, 1), (3, 3)):
        plan = Plan((GREY,), (str(originals),), subset, features=(), distances=())
        assert len(measuring.Bench(plan).measure((1, 2, 3)).told) == shown


def test_memory_is_that_of_the_method_not_of_who_asks() -> None:
    rgb = np.zeros((64, 64, 3), np.uint8)
    held = np.ones(3 * 2**29, np.uint8)  # more than any method takes
    found = _alone(candidate("grey"), [Sample("x", "x", rgb)], 0)
    assert found.seconds > 0 and 2**24 < found.memory < held.nbytes


def test_speed_is_measured(told: Any) -> None:
    speeds = {one["name"]: one["speed"] for one in told["candidates"]}
    assert all(speed["seconds"] > 0 and speed["memory"] > 2**24 for speed in speeds.values())


def test_a_run_is_judged_by_its_best_network(tintype: Command, originals: Path, tmp_path: Path) -> None:
    trained = tintype("train", "autoencoder", "--data", originals, "-o", "run", "--epochs", "1")
    assert trained.returncode == 0, trained.stderr
    assert tintype("export", "run", "-o", "run.onnx").returncode == 0
    done = tintype("evaluate", "run", "file=run.onnx", "--data", originals, "-o", "out", "--json", "-q", *OURS)
    assert done.returncode == 0, done.stderr
    errors = {one["name"]: one["ab_rmse_all_pixels"] for one in json.loads(done.stdout)["candidates"]}
    assert errors["run"] == errors["file"] != errors["grey"]
    # Exported anew, to other bytes: it is the checkpoint that says whether it is the same evaluation.
    again = tintype("evaluate", "run", "file=run.onnx", "--data", originals, "-o", "out", "-q", *OURS)
    assert again.returncode == 0, again.stderr
    best = sha256_of(tmp_path / "run" / "checkpoints" / "best.ckpt")
    assert json.loads(done.stdout)["plan"]["candidates"][1]["sha256"] == best


def test_any_number_of_processes_gives_the_same(tintype: Command, originals: Path, tmp_path: Path) -> None:
    for jobs in ("1", "3"):
        done = tintype("evaluate", "wash", "--data", originals, "-o", f"out{jobs}", "-j", jobs, "-q", *OURS)
        assert done.returncode == 0, done.stderr
    for name in ("pictures.csv", "summary.csv", "report.html"):
        assert (tmp_path / "out1" / name).read_bytes() == (tmp_path / "out3" / name).read_bytes()


def test_a_killed_evaluation_goes_on(tintype: Command, originals: Path, tmp_path: Path) -> None:
    asked = ("evaluate", "tint", "--data", originals, "-j", "1", *OURS)
    assert tintype(*asked, "-o", "whole").returncode == 0
    killed = subprocess.Popen(command(*asked, "-o", "killed"), cwd=tmp_path, stderr=subprocess.DEVNULL)
    parts = tmp_path / "killed" / "parts"
    deadline = time.monotonic() + 120
    while not list(parts.glob("[0-9]*.npz")) and time.monotonic() < deadline:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    kept = {path: path.stat().st_mtime_ns for path in parts.glob("[0-9]*.npz")}
    assert 0 < len(kept) < 4, "it was to be killed in the middle"
    done = tintype(*asked, "-o", "killed")
    assert done.returncode == 0, done.stderr
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())
    for name in ("pictures.csv", "summary.csv"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    other = tintype("evaluate", "wash", "--data", originals, *OURS, "-o", "killed")
    assert other.returncode == 2 and "another evaluation" in other.stderr


def test_an_interrupted_evaluation_leaves_whole_parts(originals: Path, tmp_path: Path) -> None:
    asked = command("evaluate", "tint", "--data", originals, "-o", tmp_path / "out", "-j", "1", *OURS)
    # A shell's background ignores Ctrl-C, and what it starts does so, too.
    running = subprocess.Popen(
        asked, stderr=subprocess.PIPE, text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    )
    parts = tmp_path / "out" / "parts"
    while not list(parts.glob("[0-9]*.npz")) and running.poll() is None:
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    words = running.communicate(timeout=60)[1]
    assert running.returncode == 130 and "Traceback" not in words, words
    assert not (tmp_path / "out" / "report.html").exists()
    for path in parts.glob("[0-9]*.npz"):
        assert Part.load(path).names


def test_a_damaged_part_is_measured_again(tintype: Command, originals: Path, tmp_path: Path) -> None:
    asked = ("evaluate", "grey", "--data", originals, "-o", "out", "-q", *OURS)
    assert tintype(*asked).returncode == 0
    part = tmp_path / "out" / "parts" / "000001.npz"
    part.write_bytes(part.read_bytes()[:100])
    assert tintype(*asked).returncode == 0
    assert part.stat().st_size > 1000 and Part.load(part).names
    part.write_bytes(part.read_bytes()[:-200].ljust(part.stat().st_size, b"0"))
    with pytest.raises(TintypeError, match=r"000001\.npz: is damaged; delete it"):
        Part.load(part)


def test_results_made_elsewhere(tintype: Command, originals: Path, tmp_path: Path) -> None:
    assert tintype("colorize", originals, "-o", "done/", "--decode", "mean", "-q").returncode == 0
    done = tintype("compare", originals, "ours=done", f"same={originals}", "-o", "out", "--json", *OURS[:-1])
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    same = next(one for one in told["candidates"] if one["name"] == "same")
    assert same["ab_rmse_all_pixels"] == 0 and same["turing"]["all"]["auc"] == same["turing"]["palette"]["auc"] == 0.5
    assert same["frechet"]["tintype features"] == pytest.approx(0, abs=1e-6)
    (tmp_path / "done" / "coffee0.png").unlink()
    changed = tintype("compare", originals, "ours=done", f"same={originals}", "-o", "out", *OURS[:-1])
    assert changed.returncode == 2 and "files of it have changed" in changed.stderr
    lacking = tintype("compare", originals, "ours=done", "-o", "less", *OURS[:-1])
    assert lacking.returncode == 1 and "1 of 30 of the results of ours" in lacking.stderr
    assert not (tmp_path / "less" / "report.html").exists()


def test_folders_are_compared_whatever_they_are_called(tintype: Command, originals: Path, tmp_path: Path) -> None:
    (tmp_path / "tint").symlink_to(originals)
    odd = "$\\frac$ <b>"
    done = tintype("compare", originals, "tint", f"{odd}=tint", "-o", "out", "--json", "-q", *OURS[:-1])
    assert done.returncode == 0, done.stderr
    errors = {one["name"]: one["ab_rmse_all_pixels"] for one in json.loads(done.stdout)["candidates"]}
    assert errors.pop("grey") > 1 and errors == {"tint": 0, odd: 0}
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<b>" not in page and "&lt;b&gt;" in page


def test_a_request_that_failed_leaves_the_folder_free(tintype: Command, originals: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"none")
    for method, code in (("bad.onnx", 3), ("wash", 0)):
        done = tintype("evaluate", method, "--data", originals / "coffee1.png", "-o", "out", "-q", *OURS)
        assert done.returncode == code, done.stderr
    named = tintype("evaluate", "wash", "--data", originals, "-o", "x", "--features", "nofile.ts", "--no-speed")
    assert named.returncode == 3 and "nofile.ts" in named.stderr


def test_names_may_hold_any_bytes(originals: Path, tmp_path: Path) -> None:
    many = os.fsencode(tmp_path) + b"/many"
    os.mkdir(many)
    shutil.copy(originals / "coffee1.png", many + b"/\xff\xfe.png")
    done = subprocess.run(
        [*map(os.fsencode, command("evaluate", "wash", "-o", tmp_path / "out", "--json", *OURS)), b"--data", many],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["about"]["pictures"] == "1"
    assert (tmp_path / "out" / "pictures.csv").read_text().count("\\udcff") == 2


def test_grey_and_broken_originals_are_named(tintype: Command, originals: Path, tmp_path: Path) -> None:
    many = tmp_path / "many"
    many.mkdir()
    for k in range(120):
        Image.fromarray(photographs.coffee()[k : k + 40, 100:140]).save(many / f"{k}.png")
    Image.fromarray(photographs.camera()[:64, :64]).convert("RGB").save(many / "old.png")
    (many / "broken.png").write_bytes((many / "0.png").read_bytes()[:300])
    done = tintype("evaluate", "wash", "--data", many, "-o", "out", "--json", *OURS)
    assert done.returncode == 0, done.stderr
    assert "grey or nearly so: 1 of 121" in done.stderr and "not coloured: 1;" in done.stderr
    told = json.loads(done.stdout)
    assert told["grey_originals"] == [str(many / "old.png")]
    assert len(told["failures"]) == 1 and "broken.png" in told["failures"][0][0]
    counts = {name: m["candidates"][0]["count"] for name, m in told["measures"].items()}
    assert counts["ab_rmse"] == 120 and counts["luma_exact"] == 121
    (many / "worse.png").write_bytes(b"")
    worse = tintype("evaluate", "wash", "--data", many, "-o", "worse", "-q", *OURS)
    assert worse.returncode == 1 and "2 of 123 of the pictures can't be read" in worse.stderr
    assert len(worse.stderr.splitlines()) == 1


def test_missing_weights_are_a_reason(
    tintype: Command, originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINTYPE_HOME", str(tmp_path / "home"))
    done = tintype("evaluate", "wash", "--data", originals / "coffee1.png", "-o", "out", "--json", "--no-speed")
    assert done.returncode == 0, done.stderr
    missing = json.loads(done.stdout)["missing"]
    assert all("tintype models get" in why for why in missing.values()) and len(missing) == 2
    assert "tintype models get fid-inception" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("tint", "--data", "empty"), "holds no"),
        (("tint", "--data", "nowhere"), "does not exist"),
        (("tin", "--data", "."), "did you mean tint"),
        (("tint", "tint", "--data", "."), "LABEL=METHOD"),
        (("tint", "--data", ".", "--baseline", "tnt"), "did you mean tint"),
        (("tint", "--data", ".", "--features", "inception"), "fid-inception"),
        (("elsewhere", "--data", ".", "--short", "64"), "leave --short out"),
    ],
)
def test_requests_that_make_no_sense(tintype: Command, tmp_path: Path, args: tuple[str, ...], words: str) -> None:
    for name in ("empty", "elsewhere"):
        (tmp_path / name).mkdir()
    Image.fromarray(photographs.coffee()[:64, :64]).save(tmp_path / "a.png")
    done = tintype("evaluate", *args, "-o", "out", "--no-speed")
    assert done.returncode == 2 and words in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
