"""Leaning against common colours: by how common they are, in the annealed decode alone, and kept in the file."""

import json

import numpy as np
import pytest
from PIL import Image
from skimage import data as photographs

from tintype.errors import ModelError, UsageError
from tintype.guidance.hints import Hints
from tintype.methods import build
from tintype.methods.method import Options
from tintype.picture.color import luma_of
from tintype.train import export
from tintype.train.rebalance import tilt
from tintype.weights import named

#: Grey, red and blue.
CENTRES = [[0.0, 0.0], [-0.17, 0.5], [0.5, -0.08]]


@pytest.fixture
def painted(tmp_path):
    """A folder of pictures of 1,000 cells, of which 900 are grey, 100 red and none blue."""
    rgb = np.full((80, 200, 3), 128, np.uint8)
    rgb[:, :20] = (255, 0, 0)
    folder = tmp_path / "painted"
    folder.mkdir()
    for k in range(2):
        Image.fromarray(rgb).save(folder / f"{k}.png")
    return folder


def test_a_class_is_lifted_by_its_rarity(painted):
    about = {"system": "tint", "space": "chroma", "centres": json.dumps(CENTRES)}
    whole = np.array(json.loads(tilt(about, [str(painted)], 1.0)))
    assert np.allclose(whole - whole[0], np.log([1, 1801 / 201, 1801]), atol=1e-3) and abs(whole.mean()) < 1e-3
    assert np.allclose(json.loads(tilt(about, [str(painted)], 0.25)), whole / 4, atol=1e-3)


def test_only_the_annealed_decode_leans(painted, tmp_path):
    about = export.about_file(named("tint"))
    export.export_file(named("tint"), tmp_path / "flat.onnx", {"tilt": "[0]"})
    export.export_file(named("tint"), tmp_path / "leaning.onnx", {"tilt": tilt(about, [str(painted)], 0.5)})
    export.export_file(tmp_path / "leaning.onnx", tmp_path / "again.onnx", {"longest": "192"})
    flat, leaning, again = (build(str(tmp_path / f"{name}.onnx"), "cpu") for name in ("flat", "leaning", "again"))
    luma = luma_of(photographs.coffee()[:384:2, :512:2]).astype(np.float32) / 255

    def told(method, decode):
        return method.chroma(luma, Hints(), Options(decode=decode))

    for decode in ("mean", "mode"):
        assert np.array_equal(told(flat, decode), told(leaning, decode))
    strength = [np.linalg.norm(told(method, "annealed"), axis=-1).mean() for method in (flat, leaning)]
    assert strength[1] > 1.1 * strength[0]
    assert np.array_equal(told(leaning, "annealed"), told(again, "annealed"))


def test_a_tilt_of_other_classes_is_refused(tmp_path):
    export.export_file(named("tint"), tmp_path / "x.onnx", {"tilt": "[0.5, -0.5]"})
    with pytest.raises(ModelError, match=r"x\.onnx can't be loaded: it tilts 2 classes and has 160"):
        build(str(tmp_path / "x.onnx"), "cpu")


def test_what_can_not_be_rebalanced(tmp_path, painted, tintype):
    about = {"system": "koala", "space": "chroma", "centres": "[]"}
    with pytest.raises(UsageError, match="koala has no classes of chroma"):
        tilt(about, [str(painted)], 0.5)
    with pytest.raises(UsageError, match="eccv16 has no classes of chroma"):
        tilt({"system": "eccv16", "space": "ab", "centres": "[[0, 0], [10, 0]]"}, [str(painted)], 0.5)
    for share in (-0.5, 0.0, 1.5, float("nan")):
        with pytest.raises(UsageError, match=r"expected above 0, to 1"):
            tilt(about | {"centres": json.dumps(CENTRES)}, [str(painted)], share)
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "a.png").write_text("no picture")
    with pytest.raises(UsageError, match="none: no picture there can be decoded"):
        tilt(about | {"centres": json.dumps(CENTRES)}, [str(tmp_path / "none")], 0.5)
    done = tintype("export", str(named("tint")), "-o", "x.onnx", "--rebalance", "0.2")
    assert (done.returncode, done.stderr) == (2, "error: --rebalance and --pictures need each other\n")
    assert not (tmp_path / "x.onnx").exists()
