"""Every kind of network becomes a file that says the same as torch, and colorizes any picture with its luma kept."""

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from skimage import data as photographs

from tintype.colorizer import Colorizer
from tintype.errors import ModelError, UsageError
from tintype.guidance.hints import Hints
from tintype.methods import ab_classes
from tintype.methods.method import Options
from tintype.nets.plain import Plain
from tintype.nets.siggraph17 import Siggraph17
from tintype.picture.color import luma_of
from tintype.train import config, export, outputs, quantize, systems

TINY = {
    "autoencoder": "net: {width: 0.1, code: 32}\nphases: [{epochs: 1, size: 32, batch: 8}]",
    "autoencoder of chroma": "net: {width: 0.1, code: 32, output: chroma}\nphases: [{epochs: 1, size: 32, batch: 8}]",
    "plain": "net: {width: 0.05}\nphases: [{epochs: 1, size: 64, batch: 8, area: [0.3, 1.0]}]",
    "plain ab": "net: {width: 0.05, output: ab}\nphases: [{epochs: 1, size: 64, batch: 8}]",
    "residual": "net: {width: 0.05}\nphases: [{epochs: 1, size: 64, batch: 8}]",
    "koala": "net: {width: 0.05}\nphases: [{epochs: 1, size: 64, batch: 8, area: [0.3, 1.0]}]",
    "koala-fusion": "net: {width: 0.05, seen: 80}\nphases: [{epochs: 1, size: 64, batch: 2}]",
    "residual ab": "net: {width: 0.05, output: ab}\nphases: [{epochs: 1, size: 64, batch: 8}]",
    "unet": "net: {width: 0.05, widths: [64, 128, 256]}\nphases: [{epochs: 1, size: 64, batch: 8}]",
    "vgg-gan of edges": "net: {width: 0.05, blocks: 1, widths: [256, 512], edges: true}\nphases: [{epochs: 1, size: 64, batch: 2}]",
    "unet-gan": "net: {width: 0.05, widths: [64, 128, 256]}\nphases: [{epochs: 1, size: 64, batch: 8}]",
    "vgg-gan": "net: {width: 0.05, blocks: 1, widths: [256, 512]}\nphases: [{epochs: 1, size: 64, batch: 2}]",
}


@pytest.fixture(params=TINY)
def made(request, tmp_path):
    """A network with random weights, its config, and its file."""
    (tmp_path / "x.yaml").write_text(f"system: {request.param.split()[0]}\n{TINY[request.param]}")
    chosen = config.read(tmp_path / "x.yaml")
    net = systems.network(chosen).eval()
    path = tmp_path / "net.onnx"
    export.export_colors(net, path, export.about(chosen, net), half=False)
    return net, path


def test_onnx_and_torch_agree_and_a_photograph_keeps_its_luma(made):
    net, path = made
    session = onnxruntime.InferenceSession(path)
    sides = [(32, 32)] if net.fixed else [(64, 64), (64, 128)]
    for size in sides:
        luma = torch.rand(1, 1, *size)
        with torch.no_grad():
            expected = export.Colors(net)(luma).numpy()
        (got,) = session.run(None, {"luma": luma.numpy()})
        assert got.shape == expected.shape
        assert np.abs(got - expected).max() < 1e-4 * max(1, np.abs(expected).max())

    grey = luma_of(photographs.coffee())
    for decode in ("annealed", "mean", "mode", "sample"):
        rgb = Colorizer(str(path)).colorize_array(grey, options=Options(decode=decode))
        assert (luma_of(rgb) == grey).all()


@pytest.mark.parametrize("area", ["", ", area: [0.5, 1.0]"])
def test_a_network_of_one_size_says_so_however_it_was_trained(area, tmp_path):
    (tmp_path / "x.yaml").write_text(f"system: autoencoder\nnet: {{width: 0.1, code: 8, size: 40}}\nphases: [{{epochs: 1, size: 40, batch: 8{area}}}]")  # fmt: skip
    chosen = config.read(tmp_path / "x.yaml")
    net = systems.network(chosen).eval()
    about = export.about(chosen, net)
    assert (about["square"], about["longest"]) == ("1", "40")
    with pytest.raises(UsageError, match="autoencoder takes pictures of 40 x 40 pixels"):
        export.export_colors(net, tmp_path / "x.onnx", about | {"longest": "64"})
    assert not (tmp_path / "x.onnx").exists()
    export.export_colors(net, tmp_path / "x.onnx", about)
    grey = luma_of(photographs.coffee()[:100, :160])
    assert (luma_of(Colorizer(str(tmp_path / "x.onnx")).colorize_array(grey)) == grey).all()


def test_a_network_that_does_not_say_what_it_puts_out_is_refused():
    with pytest.raises(TypeError, match=r"Identity.output is None; expected rgb, chroma, ab, classes"):
        outputs.kind_of(torch.nn.Identity())


def test_a_released_colorizer_becomes_a_method(tmp_path):
    """R4: what the file says is what its recipe does by hand, with the classes in the file's own order."""
    torch.manual_seed(0)
    release = Plain()
    order = torch.randperm(313)
    release.model_out.weight.data = torch.from_numpy(ab_classes.centres() / 110)[order].T[:, :, None, None].float()
    torch.save(release.state_dict(), tmp_path / "eccv16.pth")
    net, about = export.of_weights("eccv16", tmp_path / "eccv16.pth")
    assert (about["square"], about["longest"]) == ("1", "224")
    export.export_colors(net, tmp_path / "eccv16.onnx", about, half=False)
    colorizer = Colorizer(str(tmp_path / "eccv16.onnx"))
    luma = torch.rand(1, 1, 224, 224)
    with torch.no_grad():
        likely = torch.softmax(net(luma) * 2.606, 1)
        ab = net.model_out(likely) * 110
    chroma = colorizer.method.chroma(luma[0, 0].numpy(), Hints(), Options(decode="annealed"))
    small = torch.nn.functional.adaptive_avg_pool2d(luma, 56)
    expected = outputs.chroma_of("ab", ab, small)[0].permute(1, 2, 0).numpy()
    assert np.abs(expected).max() > 0.001 and np.abs(chroma - expected).max() < 2e-3 * np.abs(expected).max() + 1e-4
    grey = luma_of(photographs.coffee())
    colored = colorizer.colorize_array(grey)
    assert (luma_of(colored) == grey).all() and np.ptp(colored.astype(int), 2).max() > 0

    torch.save({"model1.0.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(ModelError, match=r"other\.pth: holds no weights of eccv16"):
        export.of_weights("eccv16", tmp_path / "other.pth")
    with pytest.raises(UsageError, match="no released colorizer of that name: eccv16, siggraph17"):
        export.of_weights("vgg16")


def test_the_other_release_becomes_one_too(tmp_path):
    torch.manual_seed(0)
    torch.save(Siggraph17().state_dict(), tmp_path / "siggraph17.pth")
    net, about = export.of_weights("siggraph17", tmp_path / "siggraph17.pth")
    assert (about["square"], about["longest"], about["space"]) == ("1", "256", "chroma")
    export.export_colors(net, tmp_path / "siggraph17.onnx", about)
    grey = luma_of(photographs.coffee())
    colored = Colorizer(str(tmp_path / "siggraph17.onnx")).colorize_array(grey)
    assert (luma_of(colored) == grey).all()


def test_eight_bits_stay_near_the_float_network(tmp_path):
    (tmp_path / "x.yaml").write_text("system: koala\nnet: {width: 0.25}\nphases: [{epochs: 1, size: 64, batch: 8}]")
    chosen = config.read(tmp_path / "x.yaml")
    net = systems.network(chosen).eval()
    about = export.about(chosen, net)
    export.export_colors(net, tmp_path / "float.onnx", about, half=False)
    for name in ("astronaut", "coffee", "chelsea"):
        Image.fromarray(getattr(photographs, name)()).save(tmp_path / f"{name}.png")
    quantize.to_int8(tmp_path / "float.onnx", tmp_path / "int8.onnx", [str(tmp_path)])
    assert (tmp_path / "int8.onnx").stat().st_size < 0.4 * (tmp_path / "float.onnx").stat().st_size

    luma = luma_of(photographs.coffee()[::8, ::8])[:48, :64].astype(np.float32) / 255
    one, other = (Colorizer(str(tmp_path / f"{kind}.onnx")).method for kind in ("float", "int8"))
    assert one.rules == other.rules
    expected, got = (m.chroma(luma, Hints(), Options(decode="mean")) for m in (one, other))
    assert 0 < np.abs(got - expected).max() < 0.15 * np.abs(expected).max()


def test_a_file_can_be_exported_again(tmp_path):
    """As it is, stored or calibrated in another way, or in 8 bits."""
    (tmp_path / "x.yaml").write_text("system: koala\nnet: {width: 0.25}\nphases: [{epochs: 1, size: 64, batch: 8}]")
    chosen = config.read(tmp_path / "x.yaml")
    net = systems.network(chosen).eval()
    about = export.about(chosen, net)
    whole, half, other, wide = (tmp_path / f"{name}.onnx" for name in ("whole", "half", "other", "wide"))
    export.export_colors(net, whole, about, half=False)
    export.export_colors(net, half, about)
    export.export_file(whole, other, {})
    assert other.read_bytes() == half.read_bytes() and half.stat().st_size < 0.6 * whole.stat().st_size
    export.export_file(half, wide, {"gain": "1.25", "longest": "96"}, half=False)
    assert wide.stat().st_size == pytest.approx(whole.stat().st_size, rel=0.02)
    luma = np.random.default_rng(0).random((64, 64), np.float32)
    one, two = (Colorizer(str(path)).method for path in (half, wide))
    assert np.abs(one.answer(luma)["mean"] - two.answer(luma)["mean"]).max() < 1e-5
    assert (two.gain, two.rules.longest, two.temperature) == (1.25, 96, one.temperature)

    Image.fromarray(photographs.coffee()).save(tmp_path / "coffee.png")
    quantize.to_int8(wide, other, [str(tmp_path / "coffee.png")])
    assert Colorizer(str(other)).method.gain == 1.25
    with pytest.raises(UsageError, match=r"other\.onnx: computes in 8 bits already"):
        export.export_file(other, tmp_path / "again.onnx", {})


def test_the_mean_of_files_lies_between_their_networks(tmp_path):
    torch.manual_seed(0)
    config_of = "system: koala\nnet: {width: %s}\nphases: [{epochs: 1, size: 64, batch: 8}]"
    (tmp_path / "x.yaml").write_text(config_of % 0.25)
    chosen = config.read(tmp_path / "x.yaml")
    net = systems.network(chosen).eval()
    about = export.about(chosen, net)
    one, other, both = (tmp_path / f"{name}.onnx" for name in ("one", "other", "both"))
    export.export_colors(net, one, about)
    with torch.no_grad():  # trained on
        for parameter in net.parameters():
            parameter.add_(0.03 * parameter.std() * torch.randn_like(parameter) if parameter.numel() > 1 else 0)
    export.export_colors(net, other, about, half=False)
    export.export_file(one, both, {"gain": "1.5"}, half=False, also=[other])
    luma = np.random.default_rng(0).random((64, 64), np.float32)
    a, b, found = (Colorizer(str(path)).method.answer(luma)["mean"] for path in (one, other, both))
    assert np.abs(found - (a + b) / 2).max() < 0.2 * np.abs(a - b).max()
    assert Colorizer(str(both)).method.gain == 1.5
    export.export_file(one, both, {}, half=False, also=[one, one, other])  # one counts three times
    found = Colorizer(str(both)).method.answer(luma)["mean"]
    assert np.abs(found - (3 * a + b) / 4).max() < 0.2 * np.abs(a - b).max()

    (tmp_path / "y.yaml").write_text(config_of % 0.5)
    wide = config.read(tmp_path / "y.yaml")
    export.export_colors(systems.network(wide).eval(), tmp_path / "wide.onnx", about)
    with pytest.raises(UsageError, match=r"wide\.onnx: is of another network"):
        export.export_file(one, tmp_path / "x.onnx", {}, also=[other, tmp_path / "wide.onnx"])
    assert not (tmp_path / "x.onnx").exists()


def test_files_that_can_not_be_exported_again(tmp_path):
    (tmp_path / "x.yaml").write_text("system: autoencoder\nnet: {width: 0.1, code: 8}\nphases: [{epochs: 1, size: 32, batch: 8}]")  # fmt: skip
    chosen = config.read(tmp_path / "x.yaml")
    net = systems.network(chosen).eval()
    export.export_colors(net, tmp_path / "fixed.onnx", export.about(chosen, net))
    with pytest.raises(UsageError, match=r"fixed\.onnx: takes pictures of 32 x 32 pixels, no other"):
        export.export_file(tmp_path / "fixed.onnx", tmp_path / "x.onnx", {"longest": "64"})
    with pytest.raises(ModelError, match=r"no file .*missing\.onnx"):
        export.export_file(tmp_path / "missing.onnx", tmp_path / "x.onnx", {})
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(ModelError, match=r"text\.onnx can't be loaded"):
        export.export_file(tmp_path / "text.onnx", tmp_path / "x.onnx", {})
    assert not (tmp_path / "x.onnx").exists()
