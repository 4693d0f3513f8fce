"""The road from pictures to a network in a file, on a few real pictures and a network of thimble size."""

import io
import json
from pathlib import Path

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from PIL import Image
from skimage import data as photographs
from skimage.color import rgb2lab

from tintype.errors import UsageError
from tintype.methods import build
from tintype.methods.neural import Neural
from tintype.nets.tint import Tint
from tintype.train import export, fit, losses


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    """A Parquet file of 48 crops of photographs."""
    rng = np.random.default_rng(0)
    rows = []
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        rgb = getattr(photographs, name)()
        for _ in range(12):
            y, x = (int(rng.integers(0, n - 150)) for n in rgb.shape[:2])
            file = io.BytesIO()
            Image.fromarray(rgb[y : y + 140, x : x + 150]).save(file, "JPEG", quality=90)
            rows.append({"image": file.getvalue(), "source": name, "label": ""})
    path = tmp_path_factory.mktemp("pack") / "train-00000.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    text = dict(
        net="tint", seed=3, classes=16, topics=True, widths=[8, 16, 16, 32, 32], depths=[1, 1, 1, 1], up_depths=[1, 1, 1],
        attention=1, ema=0.9, class_weight=0.15, topic_weight=0.03, teacher_weight=0.0, weight_decay=0.01, spoil=0.5, balance=0.5, learning_rate=0.003,
        phases=[dict(steps=20, size=64, batch=8, area=[0.5, 1.0]), dict(steps=10, size=96, batch=4, area=[0.5, 1.0])],
    )  # fmt: skip
    path = tmp_path_factory.mktemp("config") / "tiny.yaml"
    path.write_text(yaml.safe_dump(text))
    return path


@pytest.fixture(scope="module")
def run(pack, config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    fit.fit(fit.Config.read(config), [str(pack)], folder, folder / "cache", workers=0)
    return folder


def test_a_run_writes_config_log_and_checkpoint_and_then_has_nothing_left_to_do(run, pack, config):
    assert fit.Config.read(run / "config.yaml") == fit.Config.read(config)
    state = torch.load(run / "checkpoint.pt", weights_only=True)
    assert state["step"] == 30
    before = (run / "checkpoint.pt").read_bytes()
    # As a run leaves its log that is killed between two checkpoints.
    (run / "log.csv").write_text("step,seconds,loss\n20,1,0.5\n40,2,0.4\n60,3")
    fit.fit(fit.Config.read(config), [str(pack)], run, run / "cache", workers=0)
    assert (run / "checkpoint.pt").read_bytes() == before
    assert (run / "log.csv").read_text() == "step,seconds,loss\n20,1,0.5\n", (
        "rows of steps that are made again are left out"
    )


def test_wrong_keys_are_named(config, tmp_path):
    text = yaml.safe_load(config.read_text())
    text["lerning_rate"] = text.pop("learning_rate")
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump(text))
    with pytest.raises(UsageError, match=r"bad.yaml:\d+: unknown key lerning_rate; did you mean learning_rate"):
        fit.Config.read(tmp_path / "bad.yaml")


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("size", [(32, 32), (96, 160), (256, 192)])
def test_onnx_and_torch_agree(run, tmp_path, half, size):
    net = export.load(run)
    luma = torch.rand(1, 1, *size)
    with torch.no_grad():
        expected = net(luma)
    export.export(net, tmp_path / "net.onnx", ["mean", "logits"], export.about_tint(net, 256, 0.5, 1), half)
    got = onnxruntime.InferenceSession(tmp_path / "net.onnx").run(["mean", "logits"], {"luma": luma.numpy()})
    for a, b in zip(got, expected, strict=True):
        assert a.shape == b.shape
        assert np.abs(a - b.numpy()).max() < (2e-2 if half else 1e-4)


def test_an_exported_network_colorizes_and_tells_no_paths(run, tmp_path):
    path = tmp_path / "net.onnx"
    net = export.load(run)
    export.export(net, path, ["mean", "logits"], export.about_tint(net, 128, 0.5, 1))
    method = build(str(path))
    assert isinstance(method, Neural) and method.rules.longest == 128
    assert b"/src/tintype" not in path.read_bytes() and b"site-packages" not in path.read_bytes()
    about = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
    assert len(json.loads(about["centres"])) == 16


def test_ab_of_luma_and_chroma_is_skimages_lab():
    rgb = photographs.astronaut()[::4, ::4].astype(np.float32) / 255
    rgb = rgb[rgb.min(-1) > 0.1]
    luma, chroma = losses.split(torch.from_numpy(rgb.T[None, :, :, None]))
    ab = losses.chroma_to_ab(luma, chroma)[0, :, :, 0].T.numpy()
    assert np.abs(ab - rgb2lab(rgb)[:, 1:]).max() < 0.5


def test_ab_has_a_gradient_even_far_outside_the_gamut():
    chroma = torch.full((1, 2, 1, 1), 0.45, requires_grad=True)
    (losses.mean_loss(chroma, torch.zeros(1, 2, 1, 1), torch.full((1, 1, 1, 1), 0.02))).backward()
    assert torch.isfinite(chroma.grad).all()
    assert (chroma.grad * chroma).sum() > 0, "less chroma is better"


def test_class_lookup_finds_the_nearest_centre():
    centres = torch.randn(50, 2) * 0.1
    chroma = torch.randn(1, 2, 64, 64) * 0.1
    got = losses.class_of(chroma, losses.class_lookup(centres))
    flat = chroma.permute(0, 2, 3, 1).reshape(-1, 2)
    distance = torch.cdist(flat, centres)
    chosen = distance.gather(1, got.reshape(-1, 1))[:, 0]
    assert (chosen - distance.min(1).values).max() < 2 * 2**0.5 / 256


def test_parameters_stay_below_the_limit():
    config = fit.Config.read(Path(__file__).parents[2] / "configs/tint.yaml")
    net: Tint = fit.build_net(config, torch.zeros(config.classes, 2), 0)
    assert sum(p.numel() for p in net.parameters()) <= 12_000_000
