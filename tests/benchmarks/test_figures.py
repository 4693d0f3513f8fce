"""benchmarks/figures.py as it is run, on a few pictures; and what robustness.py measures."""

from __future__ import annotations

import importlib.util
import io
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from skimage import data as photographs

from tintype.evaluate.candidates import Sample, candidate
from tintype.evaluate.metrics import View
from tintype.picture.color import luma_of

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
Command = Callable[..., "subprocess.CompletedProcess[str]"]


def module(name: str) -> ModuleType:
    """A file of benchmarks/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    assert spec and spec.loader
    found = importlib.util.module_from_spec(spec)
    sys.modules[name] = found
    spec.loader.exec_module(found)
    return found


class Brightness(torch.nn.Module):
    """Scores (N, 4) that hang on colour: which of grey, red, green and blue is the strongest."""

    def forward(self, rgb):
        mean = rgb.mean((2, 3)) + 0 * rgb[:, :, 223, 223]
        return torch.cat([mean.mean(1, keepdim=True) + 0.02, mean], 1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like the real one: packs of cuttings from three sources, and two pictures to be coloured at two sizes."""
    rng = np.random.default_rng(2)
    folder = tmp_path_factory.mktemp("data")
    (folder / "photos").mkdir()
    (folder / "historic").mkdir()
    for name, count in (("val", 4), ("domains", 6), ("val-other", 4)):
        rows = []
        for k in range(count):
            source = ("astronaut", "chelsea", "coffee")[k % 3] if name != "val-other" else "rocket"
            rgb = getattr(photographs, source)()
            y, x = (int(rng.integers(0, n - 120)) for n in rgb.shape[:2])
            file = io.BytesIO()
            Image.fromarray(rgb[y : y + 96, x : x + 120]).save(file, "PNG")
            rows.append({"image": file.getvalue(), "source": source, "domain": ("animals", "food")[k % 2]})
        pq.write_table(pa.Table.from_pylist(rows), folder / "photos" / f"{name}.parquet")
    wide = Image.fromarray(photographs.coffee()).convert("L")
    wide.resize((1100, 700)).save(folder / "historic" / "large.jpg")
    wide.save(folder / "historic" / "small.jpg")
    torch.jit.save(torch.jit.script(Brightness()), folder / "colours.ts")
    return folder


@pytest.fixture
def figures(data: Path, tmp_path: Path) -> Command:
    """figures("tint", ...) is the real command."""

    def run(method: str, *args: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "benchmarks" / "figures.py"), method, "--data", str(data)]
        done = subprocess.run(
            [*command, "-o", "out", "--jobs", "2", *map(str, args)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=300,
        )
        assert "Traceback" not in done.stderr and "Warning" not in done.stderr, done.stderr
        return done

    return run


def cells(text: str) -> dict[str, list[str]]:
    """The tables' rows by their titles."""
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in lines}


def test_every_figure_is_there_and_stays(figures: Command, data: Path, tmp_path: Path) -> None:
    asked = ("--judge", data / "colours.ts", "--classifier", data / "colours.ts")
    done = figures("tint", *asked)
    assert done.returncode == 0, done.stderr
    rows = cells(done.stdout)
    assert (
        "seed 0" in done.stdout and "10 of val.parquet, domains.parquet; other: 4 of val-other.parquet" in done.stdout
    )
    assert all("grey" in cell for cell in rows["ab RMSE, mean decode, against grey"])
    assert re.match(r"[+-]\d+\.\d % \[[+-]\d+\.\d, [+-]\d+\.\d\]; \d", rows["ab RMSE, mean decode, against grey"][0])
    assert "right" in rows["accuracy lost to grey that colouring recovers, default decode"][0]
    assert sum("share of the first row's gain that is lost" in title for title in rows) == 5
    assert sum(title.startswith("neutral pixels") for title in rows) == 2
    steady = next(row for title, row in rows.items() if "two sizes" in title or "1,024" in title)
    assert "1 of 2 pictures" in steady[0] and float(steady[0].split()[0].rstrip(",")) < 5
    assert [rows[name][0] for name in ("all of val", "all of domains", "animals", "food", "all of val-other")] == [
        "4", "6", "3", "3", "4",
    ]  # fmt: skip
    assert (tmp_path / "out" / "figures.md").read_text() == done.stdout
    parts = sorted((tmp_path / "out").rglob("[0-9]*.npz"))
    kept = {path: path.stat().st_mtime_ns for path in parts}
    parts[-1].unlink()
    again = figures("tint", *asked)
    assert again.stdout == done.stdout
    assert all(path.stat().st_mtime_ns == when for path, when in list(kept.items())[:-1])


def test_one_source_alone_without_networks(figures: Command) -> None:
    done = figures("wash", "--source", "chelsea")
    assert done.returncode == 0, done.stderr
    rows = cells(done.stdout)
    assert "3 of val-chelsea.parquet, domains-chelsea.parquet" in done.stdout and "chelsea alone" in done.stdout
    assert all(row[1] in ("–", "") for title, row in rows.items() if len(row) == 2 and title != "figure")
    assert rows["Fréchet distance, default decode, against grey's"][0] == "–"
    for words in ("without --judge", "without --classifier", "other holds no picture of the source"):
        assert words in done.stdout


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("tnt",), 2, "did you mean tint"),
        (("grey",), 2, "LABEL=METHOD"),
        (("wash", "--source", "coffe"), 2, "did you mean coffee"),
        (("wash", "--data", "nowhere"), 2, "does not exist"),
        (("wash", "--judge", "none.ts"), 3, "no file none.ts"),
        (("wash", "--jobs", "0"), 2, "--jobs from 1"),
    ],
)
def test_requests_that_make_no_sense(figures: Command, args: tuple[str, ...], code: int, words: str) -> None:
    done = figures(*args)
    assert done.returncode == code and words in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr


def test_damages_are_as_strong_as_they_say() -> None:
    damages = module("robustness").DAMAGES
    grey = luma_of(photographs.astronaut())
    grain, blur, fade, jpeg, everything = (
        damage(grey, np.random.default_rng(0)).astype(float) for damage in damages.values()
    )
    inner = (grey > 40) & (grey < 215)
    assert abs((grain - grey)[inner].std() - 8) < 0.1 and abs((grain - grey)[inner].mean()) < 0.1
    assert np.abs(fade - (128 + 0.6 * (grey - 128.0))).max() <= 0.5
    assert np.abs(np.diff(blur)).mean() < 0.8 * np.abs(np.diff(grey.astype(float))).mean()
    assert 1 < np.abs(jpeg - grey).mean() < 8
    assert np.abs(everything - fade).mean() > np.abs(blur - grey).mean()
    for damage in damages.values():
        first, second = (damage(grey, np.random.default_rng(7)) for _ in range(2))
        assert first.dtype == np.uint8 and first.shape == grey.shape and np.array_equal(first, second)


def test_what_is_counted_of_a_picture() -> None:
    """Perfect colours, whatever the input looks like, lose nothing; a cast colours what is neutral."""
    robustness, rgb = module("robustness"), photographs.coffee()[100:260, 200:400]
    true = View(rgb)
    neutral = int((true.chroma < 3).sum())

    def perfect(sample: Sample) -> np.ndarray:
        return rgb

    def red(sample: Sample) -> np.ndarray:
        return np.stack([sample.rgb[..., 0].clip(60, 255), *[(sample.rgb[..., 0] * 0.4).astype(np.uint8)] * 2], -1)

    counts, squares = robustness._picture(rgb, perfect, red, np.random.default_rng(0))
    assert neutral > 0 and counts[:2] == [neutral, 0] and counts[2] > 0.9 * neutral
    assert squares[0] == pytest.approx(float((true.ab**2).sum())) and squares[1] == 0
    assert all(square < 1e-3 * squares[0] for square in squares[2:])
    assert np.isnan(robustness._picture(rgb, perfect, red, None)[1]).all()


def test_one_tint_is_steady_at_any_size(data: Path) -> None:
    apart, total = module("robustness").steadiness(candidate("wash"), [str(data / "historic")], 0)
    assert total == 2 and apart.shape == (1,) and apart[0] < 0.3


@pytest.mark.skipif(not (SHARED / "judge").is_dir(), reason="the judge (../shared/judge) is not here")
def test_the_judge_names_what_it_sees(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "judge.py"), str(SHARED / "judge"), str(SHARED / "teacher")]
    done = subprocess.run(
        [*command, "-o", str(tmp_path / "classes.ts"), "--gives", "classes"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    from tintype.evaluate.perceptual import features_of

    classes = features_of(str(tmp_path / "classes.ts"))
    scores = classes([photographs.chelsea(), photographs.coffee()])
    assert classes.dimension == 1001
    assert scores[0].argmax() in range(282, 287), "a cat: 281 to 285, and class 0 is background"
    assert scores[1].argmax() in (505, 968, 969), "coffee mug, espresso, cup"
