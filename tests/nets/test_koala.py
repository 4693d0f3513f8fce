"""Encoder and decoder, with and without the classifier's view."""

import pytest
import torch
from torch import nn

from tintype.nets.koala import Fusion, Koala, KoalaFusion

ENCODER = [640, 73_856, 147_584, 295_168, 590_080, 1_180_160, 2_359_808, 1_179_904]
DECODER = [295_040, 73_792, 18_464, 4_624, 290]
MIX = (256 + 1000) * 256 + 256


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def counts(net):
    return [m.weight.numel() + m.bias.numel() for m in net.modules() if isinstance(m, nn.Conv2d)]


def test_parameters_follow_from_the_reported_channels():
    with torch.device("meta"):
        plain, fusion = Koala(), KoalaFusion()
    assert counts(plain.encoder) == ENCODER and counts(plain.decoder) == DECODER
    assert sum(p.numel() for p in plain.parameters()) == sum(ENCODER) + sum(DECODER)
    assert counts(fusion.encoder) == ENCODER and counts(fusion.decoder) == DECODER
    assert sum(p.numel() for p in fusion.parameters()) == sum(ENCODER) + sum(DECODER) + MIX


def test_maps_have_the_reported_sizes():
    shapes = []
    with torch.device("meta"):
        net = Koala()
        for module in net.modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape[1:3])))
        net(torch.rand(1, 1, 256, 256))
    encoder = [(64, 128), (128, 128), (128, 64), (256, 64), (256, 32), (512, 32), (512, 32), (256, 32)]
    assert shapes == [*encoder, (128, 32), (64, 64), (32, 128), (16, 256), (2, 256)]


@pytest.mark.parametrize("size", [(8, 8), (16, 40)])
def test_ab_has_the_inputs_size_and_stays_within_110(size):
    net, view = KoalaFusion(width=0.1), torch.randn(3, 1000)
    net.decoder[-2].weight.data.mul_(1e5)
    net.decoder[-2].bias.data.copy_(torch.tensor([50.0, -50.0]))
    for out in (net(torch.rand(3, 1, *size), view), Koala(width=0.1)(torch.rand(3, 1, *size))):
        assert out.shape == (3, 2, *size) and out.abs().max() <= 110
    assert net(torch.rand(3, 1, *size), view).abs().max() > 109


def test_the_view_is_mixed_as_if_replicated_to_every_place():
    fusion = Fusion(4, 7)
    x, view = torch.randn(2, 4, 3, 5), torch.randn(2, 7)
    replicated = view[:, :, None, None].expand(-1, -1, 3, 5)
    expected = torch.relu(fusion.mix(torch.cat([x, replicated], 1)))
    assert expected.any() and torch.allclose(fusion(x, view), expected, atol=1e-5)


def test_each_picture_hears_its_own_view():
    net, luma, view = KoalaFusion(view=5, width=0.5), torch.rand(2, 1, 16, 16), torch.randn(2, 5)
    one, other = net(luma, view), net(luma, view + torch.tensor([[0.0], [3.0]]))
    assert torch.allclose(one[0], other[0], atol=1e-5) and not torch.allclose(one[1], other[1], atol=1e-3)


@pytest.mark.parametrize("fusion", [False, True])
def test_a_gradient_reaches_every_parameter(fusion):
    luma, view = torch.rand(2, 1, 16, 24), torch.randn(2, 5)
    net = KoalaFusion(view=5, width=0.5) if fusion else Koala(width=0.5)
    out = net(luma, view) if fusion else net(luma)
    (out * torch.randn_like(out)).sum().backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in net.parameters())
