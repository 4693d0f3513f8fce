"""Generator and judge on frozen features, here those of a network of thimble size."""

import pytest
import torch
from torch import nn

from tintype.nets.vgg_gan import Frozen, VGGDiscriminator, VGGGenerator, edges


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def features(channels=6, reduction=4):
    """A stand-in for VGG16's blocks; batch normalization, so that a training mode would show."""
    return nn.Sequential(
        nn.Conv2d(3, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU(), nn.AvgPool2d(reduction)
    )


def generator(**options):
    return VGGGenerator(features(), 6, 4, width=1 / 32, **options)


def judge(**options):
    return VGGDiscriminator(features(), 6, 4, size=32, width=1 / 32, **options)


def count(part):
    return sum(p.numel() for p in part.parameters())


def pair(before, after):
    """Parameters of two convolutions k3 without bias and two batch normalizations."""
    return 9 * (before * after + after * after) + 4 * after


def test_parameters_follow_from_the_documented_channels():
    with torch.device("meta"):
        net, critic = VGGGenerator(features(256, 8), 256, 8), VGGDiscriminator(features(512, 32))
    down = [pair(256, 256), pair(256, 512), pair(512, 512)]
    up = [pair(512 + 512, 512), pair(512 + 256, 256)]
    tail = [pair(256, 128), pair(128, 64), pair(64, 32)]
    assert [count(part) for part in (*net.downs, *net.ups, *net.tail)] == [*down, *up, *tail]
    assert count(net.last) == 32 * 9 * 2 + 2
    assert [count(part) for part in critic.head if count(part)] == [512 * 16 * 512, 1024, 512 * 256, 512, 257]


def test_256_pixels_have_32_by_32_features_and_8_by_8_at_the_bottom():
    shapes = []
    with torch.device("meta"):
        net, critic = VGGGenerator(features(256, 8), 256, 8), VGGDiscriminator(features(512, 32))
        for part in (net.features, *net.downs, *net.ups, *net.tail, critic.features, critic.head[0]):
            part.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape[1:3])))
        luma = torch.rand(2, 1, 256, 256)
        verdict = critic(luma, net(luma))
    path = [(256, 32), (256, 32), (512, 16), (512, 8), (512, 16), (256, 32), (128, 64), (64, 128), (32, 256)]
    assert shapes == [*path, (512, 8), (512, 4)] and verdict.shape == (2,)


@pytest.mark.parametrize("reduction", [1, 2, 8])
@pytest.mark.parametrize("widths", [(256,), (256, 512)])
def test_ab_has_the_inputs_size_and_stays_within_110(reduction, widths):
    net = VGGGenerator(features(6, reduction), 6, reduction, widths=widths, width=1 / 64)
    assert net.multiple == reduction * 2 ** (len(widths) - 1)
    net.last.weight.data.mul_(1e5)
    size = (net.multiple * 2, net.multiple * 3)
    out = net(torch.rand(2, 1, *size))
    assert out.shape == (2, 2, *size) and 109 < out.abs().max() <= 110


def test_edges_are_where_grey_changes_and_reach_one():
    step = torch.zeros(1, 1, 8, 8)
    step[..., 4:] = 1
    found = edges(step)
    assert torch.allclose(found[..., 3:5], torch.ones(8, 2))
    assert found[..., :3].max() < 1e-5 and found[..., 5:].max() < 1e-5
    assert torch.allclose(edges(step.mT), found.mT)
    noise = edges(torch.rand(1, 1, 64, 64).round())
    assert noise.min() >= 0 and noise.max() == 1


def test_edges_have_a_gradient_even_where_flat():
    luma = torch.full((1, 1, 4, 4), 0.5, requires_grad=True)
    edges(luma).sum().backward()
    assert luma.grad.isfinite().all()


def test_a_network_of_edges_does_not_know_the_grey():
    luma = torch.rand(2, 1, 32, 32)
    for only_edges in (True, False):
        net = generator(edges=only_edges)
        same = torch.allclose(net(luma), net(1 - luma), atol=1e-2)
        assert same is only_edges


@pytest.mark.parametrize("only_edges", [False, True])
def test_a_gradient_reaches_every_parameter_but_the_frozen_ones(only_edges):
    net, critic, luma = generator(edges=only_edges), judge(dropout=0.1), torch.rand(3, 1, 32, 32)
    critic(luma, net(luma) * 10).square().sum().backward()
    for part in (net, critic):
        for name, parameter in part.named_parameters():
            if name.startswith("features."):
                assert not parameter.requires_grad and parameter.grad is None
            else:
                assert parameter.grad.isfinite().all() and parameter.grad.any(), name


def test_training_changes_nothing_in_the_frozen_part():
    frozen = Frozen(features())
    before = {name: value.clone() for name, value in frozen.backbone.state_dict().items()}
    frozen.train()(torch.rand(2, 3, 8, 8))
    assert frozen.training and not any(m.training for m in frozen.backbone.modules())
    assert all(torch.equal(value, before[name]) for name, value in frozen.backbone.state_dict().items())


def test_the_frozen_part_keeps_the_weights_it_came_with():
    backbone = features()
    before = [p.clone() for p in backbone.parameters()]
    VGGGenerator(backbone, 6, 4, width=1 / 32)
    VGGDiscriminator(backbone, 6, 4, size=32, width=1 / 32)
    assert all(torch.equal(a, b) for a, b in zip(before, backbone.parameters(), strict=True))


def test_a_trained_backbone_learns():
    net = VGGGenerator(features(), 6, 4, width=1 / 32, trained=True)
    net(torch.rand(3, 1, 32, 32)).square().sum().backward()
    assert all(p.grad.any() for p in net.features.parameters() if p.ndim > 1)


def test_the_judge_sees_the_colour_picture():
    seen = []
    critic = judge().eval()
    critic.features.backbone.register_forward_hook(lambda _, args, __: seen.append(args[0]))
    critic(torch.full((1, 1, 32, 32), 0.5), torch.tensor([40.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 32, 32))
    r, g, b = seen[0][0, :, 5, 5]
    assert r > 0.6 > b > g, "a* of 40 is a pink: more red, less green"


def test_what_cannot_be_is_refused_with_the_remedy():
    with pytest.raises(ValueError, match=r"reduction is 6.*power of two"):
        VGGGenerator(features(), 6, 6)
    with pytest.raises(ValueError, match=r"size is 100.*multiple of 64"):
        VGGDiscriminator(features(), size=100)
    with pytest.raises(ValueError, match="32x32 pixels, not 64x64"):
        judge()(torch.rand(1, 1, 64, 64), torch.rand(1, 2, 64, 64))
