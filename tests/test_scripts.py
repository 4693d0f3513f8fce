"""scripts/: what trains the feature network of evaluations, for a few steps; and contact sheets."""

from __future__ import annotations

import io
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from skimage import data

from tintype.colorizer import Colorizer
from tintype.evaluate.metrics import View, ab_rmse
from tintype.nets.features import load
from tintype.picture.color import luma_of

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "scripts" / "train_features.py"
SHEET = ROOT / "scripts" / "sheet.py"


def test_a_feature_network_is_trained(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for kind, name in (("cats", "chelsea"), ("cups", "coffee")):
        (tmp_path / kind).mkdir()
        rgb = getattr(data, name)()
        for k in range(35):
            y, x = (int(rng.integers(0, n - 90)) for n in rgb.shape[:2])
            Image.fromarray(rgb[y : y + 90, x : x + 90]).save(tmp_path / kind / f"{k}.png")
    out = tmp_path / "features.safetensors"
    command = [sys.executable, str(SCRIPT), str(tmp_path), "-o", str(out), "--steps", "3"]
    runs = []
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0 and "spoilings" in done.stdout, done.stderr
        runs.append(load_file(out))
    assert all(torch.equal(value, runs[1][name]) for name, value in runs[0].items()), "the same seed, the same weights"
    with torch.inference_mode():
        features = load(out)(torch.rand(2, 3, 64, 64))
    assert torch.isfinite(features).all() and features.std() > 0


def sheet(monkeypatch: pytest.MonkeyPatch, *args: object) -> None:
    """scripts/sheet.py, as if it were run."""
    monkeypatch.setattr(sys, "argv", [str(SHEET), *map(str, args)])
    runpy.run_path(str(SHEET), run_name="__main__")


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """Ten pictures: nine cuttings of photographs in colour, and, as number 4, a grey one."""
    rows = []
    for k in range(10):
        rgb = getattr(data, ("astronaut", "chelsea", "coffee")[k % 3])()[20 * k : 20 * k + 100, 30 * k : 30 * k + 100]
        coded = io.BytesIO()
        Image.fromarray(rgb if k != 4 else np.repeat(luma_of(rgb)[..., None], 3, 2)).save(coded, "PNG")
        rows.append(coded.getvalue())
    pq.write_table(pa.table({"image": rows}), tmp_path / "pack.parquet")
    return tmp_path / "pack.parquet"


def view(at: Image.Image, column: int, row: int, top: int = 0) -> np.ndarray:
    """What a sheet of cells of 104 pixels shows of a picture of 100 x 100."""
    x, y = 104 * column + 2, top + 104 * row + 2
    return np.asarray(at.crop((x, y, x + 100, y + 100)))


def test_a_sheet_of_a_pack(pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = ("--side", "104", "--columns", "2", "--each", "4")
    sheet(monkeypatch, "--pack", pack, "--count", "5", *size, "-o", tmp_path / "sheet.png")
    first, second = (Image.open(tmp_path / f"sheet-{k}.png") for k in (1, 2))
    assert first.width == 208 and second.width == 104 and first.height == 2 * second.height
    for place, number in enumerate((0, 2, 4, 6)):  # every second of ten
        rgb = np.asarray(Image.open(io.BytesIO(pq.read_table(pack)["image"][number].as_py())))
        top = place // 2 * second.height
        grey, ours, original = (view(first, place % 2, row, top) for row in range(3))
        assert np.array_equal(original, rgb) and np.array_equal(grey[..., 0], luma_of(rgb))
        assert np.array_equal(ours, Colorizer().colorize_array(luma_of(rgb)))
        caption = np.asarray(first)[top + 3 * 104 : top + second.height, place % 2 * 104 :][:, :104]
        assert caption.min() < 128 and (caption[-4:] == 255).all()


def test_the_worst_of_a_pack(pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sheet(monkeypatch, "--pack", pack, "--worst", "3", "--side", "104", "-o", tmp_path / "worst.png")
    harm = {}
    for number, coded in enumerate(pq.read_table(pack)["image"].to_pylist()):
        rgb = np.asarray(Image.open(io.BytesIO(coded)))
        luma = luma_of(rgb)
        ours, grey = Colorizer().colorize_array(luma), np.repeat(luma[..., None], 3, 2)
        if number != 4:  # which has no colour to be missed
            harm[number] = ab_rmse(View(ours), View(rgb)) / ab_rmse(View(grey), View(rgb))
    shown = Image.open(tmp_path / "worst.png")
    assert shown.width == 3 * 104
    for column, number in enumerate(sorted(harm, key=lambda k: -harm[k])[:3]):
        rgb = np.asarray(Image.open(io.BytesIO(pq.read_table(pack)["image"][number].as_py())))
        assert np.array_equal(view(shown, column, 2), rgb)


def test_a_sheet_of_files_has_two_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [ROOT / "examples" / name for name in ("cat.jpg", "coffee.tif", "camera.png")]
    sheet(monkeypatch, *files, "-o", tmp_path / "sheet.png", "--columns", "2")
    shown = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert shown.shape == (4 * 260, 2 * 260, 3)
    assert np.ptp(shown[:260].astype(int), 2).max() == 0 and np.ptp(shown[260:520].astype(int), 2).max() > 20


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("-o", "x.png"), "pictures, or a pack"),
        (("a.jpg", "--pack", "b", "-o", "x.png"), "one of the two"),
        (("a.jpg", "-o", "x.txt"), "x.txt: is no kind of picture"),
        (("missing.jpg", "-o", "x.png"), "missing.jpg"),
        (("--pack", "nowhere", "-o", "x.png"), "nowhere: holds no"),
        (("a.jpg", "-o", "x.png", "--strength", "3"), "strength is 3.0; expected 0 to 2"),
        (("a.jpg", "-o", "x.png", "--method", "tnit"), "no method 'tnit'"),
        (("--pack", "x", "--count", "0", "-o", "x.png"), "from 1 up"),
    ],
)
def test_sheets_that_make_no_sense(
    args: tuple[str, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        sheet(monkeypatch, *args)
    assert words in str(stop.value) and "\n" not in str(stop.value)
    assert not list(tmp_path.iterdir())
