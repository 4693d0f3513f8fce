"""The autoencoder: its counts as reported, its padding as Keras', its variants."""

import pytest
import torch
from torch import nn

from tintype.nets.autoencoder import Autoencoder, Double, Halve

ENCODER = [640, 73_856, 295_168, 1_048_832]
DECODER = [1_052_672, 590_080, 295_040, 73_792, 1_731]


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def counts(net):
    """Parameters of each layer that has any, in order."""
    layers = (m for m in net.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)))
    return [sum(p.numel() for p in layer.parameters()) for layer in layers]


def test_parameters_are_the_reported_ones_layer_by_layer():
    with torch.device("meta"):
        net = Autoencoder()
    assert counts(net.encoder) == ENCODER and sum(ENCODER) == 1_418_496
    assert counts(net.decoder) == DECODER and sum(DECODER) == 2_013_315
    assert sum(p.numel() for p in net.parameters()) == 3_431_811


def test_only_the_last_layer_differs_where_chroma_is_predicted():
    with torch.device("meta"):
        net = Autoencoder(output="chroma")
    assert counts(net) == [*ENCODER, *DECODER[:-1], 64 * 9 * 2 + 2]


def test_maps_halve_to_4_and_the_code_has_256_numbers():
    shapes = []
    with torch.device("meta"):
        net = Autoencoder()
        for module in net.modules():
            if isinstance(module, (Halve, Double, nn.Linear)):
                module.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape[1:])))
        net(torch.rand(2, 1, 32, 32))
    down, up = [(64, 16, 16), (128, 8, 8), (256, 4, 4)], [(256, 8, 8), (128, 16, 16), (64, 32, 32)]
    assert shapes == [*down, (256,), (4096,), *up]


def test_halving_sees_pixels_2i_to_2i_plus_2():
    halve = Halve(1, 1)
    nn.init.constant_(halve.conv.weight, 1.0)
    nn.init.zeros_(halve.conv.bias)
    picture = torch.arange(1.0, 9.0).view(1, 1, 1, 8).repeat(1, 1, 2, 1)  # rows 0 and 1, and a third of padding
    assert halve(picture)[0, 0].tolist() == [[2 * (1 + 2 + 3), 2 * (3 + 4 + 5), 2 * (5 + 6 + 7), 2 * (7 + 8)]]


def test_doubling_is_the_adjoint_of_halving():
    halve, double = Halve(3, 5).double(), Double(5, 3).double()
    double.conv.weight = halve.conv.weight
    nn.init.zeros_(halve.conv.bias)
    nn.init.zeros_(double.conv.bias)
    large, small = torch.randn(1, 3, 6, 10).double(), torch.randn(1, 5, 3, 5).double()
    assert double(small).shape == large.shape
    assert torch.isclose((halve(large) * small).sum(), (large * double(small)).sum())


@pytest.mark.parametrize(("output", "low", "high"), [("rgb", 0.0, 1.0), ("chroma", -0.5, 0.5)])
def test_values_stay_in_their_range_and_reach_both_ends(output, low, high):
    net = Autoencoder(output, width=0.1)
    net.decoder[-1].weight.data.mul_(1e4)
    out = net(torch.rand(8, 1, 32, 32))
    assert out.shape == (8, 3 if output == "rgb" else 2, 32, 32) and net.output == output
    assert low <= out.min() < low + 1e-3 and high - 1e-3 < out.max() <= high


@pytest.mark.parametrize("variant", [{}, {"batch_norm": True}, {"dropout": 0.2}, {"dropout": 0.2, "batch_norm": True}])
@pytest.mark.parametrize("output", ["rgb", "chroma"])
def test_a_gradient_reaches_every_parameter(variant, output):
    net = Autoencoder(output, **variant, width=0.1)
    (net(torch.rand(4, 1, 32, 32)) - 0.3).square().sum().backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in net.parameters())


def test_variants_normalize_and_drop_after_every_layer_but_the_last():
    with torch.device("meta"):
        net, plain = Autoencoder(dropout=0.3, batch_norm=True), Autoencoder()
    drops = [m for m in net.modules() if isinstance(m, nn.Dropout)]
    assert [d.p for d in drops] == [0.3] * 6
    norms = [m.num_features for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms == [64, 128, 256, 256, 128, 64]
    assert isinstance(net.decoder[-1], nn.ConvTranspose2d)
    assert counts(net) == counts(plain)


def test_dropout_acts_in_training_alone():
    net, luma = Autoencoder(dropout=0.5, width=0.1), torch.rand(1, 1, 32, 32)
    assert not torch.equal(net(luma), net(luma))
    net.eval()
    assert torch.equal(net(luma), net(luma))


def test_width_code_and_size_scale_the_network():
    net = Autoencoder(width=0.25, code=10, size=16)
    assert counts(net.encoder)[:3] == [160, 16 * 9 * 32 + 32, 32 * 9 * 64 + 64]
    assert net.encoder[-1].out_features == 10 and net.multiple == 16
    assert net(torch.rand(2, 1, 16, 16)).shape == (2, 3, 16, 16)


def test_what_cannot_be_is_refused_with_the_remedy():
    with pytest.raises(ValueError, match="'rgb' or 'chroma'"):
        Autoencoder("ab")
    with pytest.raises(ValueError, match=r"size is 30.*multiple of 8"):
        Autoencoder(size=30)
    with pytest.raises(ValueError, match=r"32x32 pixels, not 64x32.*scale"):
        Autoencoder(width=0.1)(torch.rand(1, 1, 64, 32))
