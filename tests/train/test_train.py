"""The road from pictures to a network in a file, on a few real pictures and a network of thimble size."""

import io
import json
from dataclasses import replace
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
from tintype.train import export, fit, losses, recipe
from tintype.train.cache import pack_of
from tintype.train.config import system_of
from tintype.train.crops import everything
from tintype.train.training import begin


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
        attention=[1, 1], queries=4, ema=0.9, class_weight=0.15, topic_weight=0.03, teacher_weight=0.0, vivid=1, vivid_weight=0.2,
        feature_weight=0.0, colour_weight=0.1, critic_weight=0.1, frozen=False, optimizer="adamw", weight_decay=0.01, hints=0.5, spoil=0.5, balance=0.5, learning_rate=0.003,
        phases=[dict(steps=20, size=64, batch=8, area=[0.5, 1.0]), dict(steps=10, size=96, batch=4, area=[0.5, 1.0])],
    )  # fmt: skip
    path = tmp_path_factory.mktemp("config") / "tiny.yaml"
    path.write_text(yaml.safe_dump(text))
    return path


@pytest.fixture(scope="module")
def run(pack, config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    fit.fit(recipe.Config.read(config), [str(pack)], folder, folder / "cache", workers=0)
    return folder


def test_a_run_writes_config_log_and_checkpoint_and_then_has_nothing_left_to_do(run, pack, config):
    assert recipe.Config.read(run / "config.yaml") == recipe.Config.read(config)
    state = torch.load(run / "checkpoint.pt", weights_only=True)
    assert state["step"] == 30
    before = (run / "checkpoint.pt").read_bytes()
    # As a run leaves its log that is killed between two checkpoints.
    (run / "log.csv").write_text("step,seconds,loss\n20,1,0.5\n40,2,0.4\n60,3")
    fit.fit(recipe.Config.read(config), [str(pack)], run, run / "cache", workers=0)
    assert (run / "checkpoint.pt").read_bytes() == before
    assert (run / "log.csv").read_text() == "step,seconds,loss\n20,1,0.5\n", (
        "rows of steps that are made again are left out"
    )


def test_wrong_keys_are_named(config, tmp_path):
    text = yaml.safe_load(config.read_text())
    text["lerning_rate"] = text.pop("learning_rate")
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump(text))
    with pytest.raises(UsageError, match=r"bad.yaml:\d+: unknown key lerning_rate; did you mean learning_rate"):
        recipe.Config.read(tmp_path / "bad.yaml")


def test_a_base_gives_the_keys_that_a_config_lacks(config, tmp_path):
    (tmp_path / "base.yaml").write_text(config.read_text())
    (tmp_path / "wide.yaml").write_text("base: base.yaml\nclass_weight: 0.5\n")
    (tmp_path / "wider.yaml").write_text("base: wide.yaml\nema: 0.5\n")
    (tmp_path / "round.yaml").write_text("base: round.yaml\n")
    (tmp_path / "bad.yaml").write_text("base: base.yaml\nclass_wait: 0.5\n")
    base, wider = (recipe.Config.read(tmp_path / f"{name}.yaml") for name in ("base", "wider"))
    assert wider == replace(base, class_weight=0.5, ema=0.5)
    assert system_of(tmp_path / "wider.yaml") == "tint"
    with pytest.raises(UsageError, match=r"round.yaml:1: round.yaml is its own base"):
        recipe.Config.read(tmp_path / "round.yaml")
    with pytest.raises(UsageError, match=r"bad.yaml:2: unknown key class_wait; did you mean class_weight"):
        recipe.Config.read(tmp_path / "bad.yaml")


def test_sources_can_be_left_out(run, pack, config, tmp_path):
    decoded, chosen = pack_of([str(pack)], run / "cache", fit.SHORT), recipe.Config.read(config)
    batch = next(fit.batches(replace(chosen, without=("astronaut", "coffee", "rocket")), decoded, 0, 0))
    assert decoded.names == ("astronaut", "chelsea", "coffee", "rocket")
    cat = decoded.topic[decoded.source == 1][0]
    assert (batch["topic"] == cat).all()
    with pytest.raises(UsageError, match="no source 'astronut' to leave out; did you mean astronaut"):
        next(fit.batches(replace(chosen, without=("astronut",)), decoded, 0, 0))
    with pytest.raises(UsageError, match="no picture is left"):
        next(fit.batches(replace(chosen, without=decoded.names), decoded, 0, 0))


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("size", [(32, 32), (96, 160), (256, 192)])
def test_onnx_and_torch_agree(run, tmp_path, half, size):
    net = export.load(run)
    luma, hints = torch.rand(1, 1, *size), torch.randn(1, 3, *size)
    with torch.no_grad():
        expected = net(luma, hints)
    export.export_tint(net, tmp_path / "net.onnx", export.about_tint(net), half)
    given = {"luma": luma.numpy(), "hints": hints.numpy()}
    got = onnxruntime.InferenceSession(tmp_path / "net.onnx").run(["mean", "logits", "vivid"], given)
    for a, b in zip(got, expected, strict=True):
        assert a.shape == b.shape
        assert np.abs(a - b.numpy()).max() < (2e-2 if half else 1e-4)


def test_an_exported_network_colorizes_and_tells_no_paths(run, tmp_path):
    path = tmp_path / "net.onnx"
    net = export.load(run)
    export.export_tint(net, path, export.about_tint(net))
    method = build(str(path))
    assert isinstance(method, Neural) and method.rules.longest == 256
    assert b"/src/tintype" not in path.read_bytes() and b"site-packages" not in path.read_bytes()
    about = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
    assert len(json.loads(about["centres"])) == 16


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_run_starts_with_an_exported_network_and_learns_on(run, pack, config, tmp_path, optimizer):
    exported = tmp_path / "net.onnx"
    net = export.load(run)
    luma, hints = torch.rand(2, 1, 64, 64), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = net(luma, hints)
    export.export_tint(net, exported, export.about_tint(net), half=False)
    text = yaml.safe_load(config.read_text()) | {"start": "net.onnx", "optimizer": optimizer, "depths": [1, 2, 1, 1]}
    (tmp_path / "grown.yaml").write_text(yaml.safe_dump(text))
    chosen, decoded = recipe.Config.read(tmp_path / "grown.yaml"), pack_of([str(pack)], run / "cache", fit.SHORT)
    training = begin(chosen, decoded, everything(decoded), "cpu", None)
    with torch.no_grad():
        got = training.net.eval()(luma, hints)
    for a, b in zip(got, expected, strict=True):
        assert torch.allclose(a, b, atol=2e-4), "it begins as what it starts with"
    folder = tmp_path / "run"
    fit.fit(chosen, [str(pack)], folder, run / "cache", workers=0)
    before, after = training.net.state_dict(), export.load(folder).state_dict()
    assert not torch.equal(before["stages.1.0.body.0.weight"], after["stages.1.0.body.0.weight"])
    assert recipe.Config.read(folder / "config.yaml").start == exported
    exported.unlink()
    fit.fit(chosen, [str(pack)], folder, run / "cache", workers=0)  # goes on from its checkpoint, which has all


def test_what_a_run_starts_with_has_kernels_of_the_usual_size(run, pack, config, tmp_path):
    net = export.load(run)
    for parameter in net.parameters():
        parameter.data *= 1e-3 if parameter.ndim == 4 else 1
    export.export_tint(net, tmp_path / "net.onnx", export.about_tint(net), half=False)
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | {"start": "net.onnx"}))
    decoded = pack_of([str(pack)], run / "cache", fit.SHORT)
    begun = begin(recipe.Config.read(tmp_path / "c.yaml"), decoded, everything(decoded), "cpu", None).net
    usual = Tint(torch.zeros(16, 2), (8, 16, 16, 32, 32), (1, 1, 1, 1), (1, 1, 1), hinted=True)
    for name in ("stem.0", "downs.3.0", "stages.2.0.body.0"):
        own, other = (n.get_submodule(name).weight.square().mean().sqrt() for n in (begun, usual))
        assert 0.7 < own / other < 1.4


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"vivid": 0}, "colour_weight, critic_weight is for a vivid head"),
        ({"hints": 1.5}, r"hints is 1.5; expected a share from 0 to 1"),
        ({"depths": [1, 1]}, "five widths, four depths and three up_depths"),
        ({"frozen": True}, "name one to start with"),
    ],
)
def test_configs_that_make_no_sense_are_refused(config, tmp_path, change, cause):
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | change))
    with pytest.raises(UsageError, match=rf"c.yaml:\d+: .*{cause}"):
        recipe.Config.read(tmp_path / "c.yaml")


def test_a_start_that_does_not_fit_is_refused(run, pack, config, tmp_path):
    net, decoded = export.load(run), pack_of([str(pack)], run / "cache", fit.SHORT)
    export.export_tint(net, tmp_path / "net.onnx", export.about_tint(net))
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    for start, change, cause in (
        ("net.onnx", {"widths": [8, 16, 16, 32, 64]}, "choose the same widths"),
        ("broken.onnx", {}, "no network that tintype export wrote"),
        ("none.onnx", {}, "no such file to start with"),
        ("net.onnx", {"start_sha256": "a" * 64}, "is not the file that this config starts with"),
        ("net.onnx", {"frozen": True, "attention": [2, 1]}, r"lacks context\.1: a frozen network can't learn them"),
    ):
        (tmp_path / "c.yaml").write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | change | {"start": start}))
        with pytest.raises(UsageError, match=cause):
            begin(recipe.Config.read(tmp_path / "c.yaml"), decoded, everything(decoded), "cpu", None)


def test_a_frozen_network_learns_nothing_but_its_vivid_head(run, pack, config, tmp_path):
    net = export.load(run)
    export.export_tint(net, tmp_path / "net.onnx", export.about_tint(net), half=False)
    text = yaml.safe_load(config.read_text())
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(text | {"start": "net.onnx", "frozen": True, "topics": False}))
    chosen = recipe.Config.read(tmp_path / "c.yaml")
    fit.fit(chosen, [str(pack)], tmp_path / "run", run / "cache", workers=0)
    before, after = export.load(run), export.load(tmp_path / "run")
    luma, hints = torch.rand(1, 1, 64, 64), torch.zeros(1, 3, 64, 64)
    with torch.no_grad():
        (mean, logits, vivid), (same, too, other) = before(luma, hints), after(luma, hints)
    assert torch.allclose(mean, same, atol=1e-5) and torch.allclose(logits, too, atol=1e-3)
    assert (vivid - other).abs().max() > 1e-4


def test_ab_of_luma_and_chroma_is_skimages_lab():
    rgb = photographs.astronaut()[::4, ::4].astype(np.float32).reshape(-1, 3) / 255
    luma, chroma = losses.split(torch.from_numpy(rgb.T[None, :, :, None]))
    ab = losses.chroma_to_ab(luma, chroma)[0, :, :, 0].T.numpy()
    assert np.abs(ab - rgb2lab(rgb)[:, 1:]).max() < 0.05


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
    config = recipe.Config.read(Path(__file__).parents[2] / "configs/tint.yaml")
    net: Tint = recipe.build_net(config, torch.zeros(config.classes, 2), 0)
    assert sum(p.numel() for p in net.parameters()) <= 15_000_000
