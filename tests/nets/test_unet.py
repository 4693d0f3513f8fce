"""The U-Net and its judge; and the judge beside another generator (reference system R9)."""

import pytest
import torch
from torch import nn

from tintype.nets.koala import KoalaFusion
from tintype.nets.unet import PatchDiscriminator, UNet

#: Convolutions, with a bias where no batch normalization follows.
DOWN = [1_088, 131_072, 524_288, 2_097_152, 4_194_304, 4_194_304, 4_194_304]
UP = [4_194_304, 8_388_608, 8_388_608, 4_194_304, 1_048_576, 262_144, 4_098]
JUDGE = [3_136, 131_072, 524_288, 2_097_152, 8_193]
SMALL = (8, 12, 16)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def counts(net, kinds=(nn.Conv2d, nn.ConvTranspose2d)):
    return [sum(p.numel() for p in m.parameters()) for m in net.modules() if isinstance(m, kinds)]


def test_parameters_follow_from_the_reported_channels():
    with torch.device("meta"):
        net, judge = UNet(), PatchDiscriminator()
    assert counts(net) == [*DOWN, *UP] and counts(judge) == JUDGE
    down, up = [256, 512, 1024, 1024, 1024, 1024], [1024, 1024, 1024, 512, 256, 128]  # a scale and a shift per channel
    assert counts(net, nn.BatchNorm2d) == [*down, *up]
    assert counts(judge, nn.BatchNorm2d) == down[:3]


def test_256_pixels_come_down_to_2_and_back():
    shapes = []
    with torch.device("meta"):
        net = UNet()
        for module in net.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                module.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape[1:3])))
        net(torch.rand(1, 1, 256, 256))
    down = [(64, 128), (128, 64), (256, 32), (512, 16), (512, 8), (512, 4), (512, 2)]
    assert net.multiple == 128
    assert shapes == [*down, (512, 4), (512, 8), (512, 16), (256, 32), (128, 64), (64, 128), (2, 256)]


@pytest.mark.parametrize("size", [(8, 8), (16, 40)])
def test_ab_has_the_inputs_size_and_stays_within_110(size):
    net = UNet(SMALL)
    assert net.multiple == 8 and net.stride == 1 and net.output == "ab"
    net.last.weight.data.mul_(1e4)
    out = net(torch.rand(2, 1, *size))
    assert out.shape == (2, 2, *size) and 109 < out.abs().max() <= 110


def test_it_may_give_chroma_instead():
    net = UNet(SMALL, output="chroma")
    net.last.weight.data.mul_(1e4)
    assert net.output == "chroma" and 0.49 < net(torch.rand(2, 1, 16, 16)).abs().max() <= 0.5
    with pytest.raises(ValueError, match="'rgb'; a U-Net gives 'ab' or 'chroma'"):
        UNet(SMALL, output="rgb")


def test_skips_carry_what_the_smallest_map_cannot():
    """With the way through the bottom cut, a pixel still reaches the output next to it."""
    net = UNet(SMALL).eval()
    nn.init.zeros_(net.ups[0][0].weight)
    luma = torch.full((1, 1, 32, 32), 0.5)
    other = luma.clone()
    other[..., 16, 16] = 1.0
    changed = (net(luma) - net(other)).abs().sum((0, 1)) > 0
    assert changed[16, 16] and not changed[0, 0] and not changed[-1, -1]


@pytest.mark.parametrize("size", [(16, 16), (48, 32)])
def test_the_judge_gives_one_unbounded_number_per_picture(size):
    judge = PatchDiscriminator(width=1 / 16)
    judge.last[1].bias.data.fill_(7.0)
    verdict = judge(torch.rand(3, 1, *size), torch.randn(3, 2, *size) * 30)
    assert judge.multiple == 16 and verdict.shape == (3,) and (verdict > 5).all()


def test_the_judge_sees_luma_and_both_channels_of_colour():
    judge = PatchDiscriminator(width=1 / 16).eval()
    luma, ab = torch.rand(1, 1, 32, 32), torch.randn(1, 2, 32, 32) * 30
    luma.requires_grad_(), ab.requires_grad_()
    judge(luma, ab).sum().backward()
    assert luma.grad.any() and ab.grad[:, 0].any() and ab.grad[:, 1].any()


def test_a_gradient_reaches_every_parameter_of_both():
    net, judge, luma = UNet(SMALL), PatchDiscriminator(width=1 / 16), torch.rand(2, 1, 32, 48)
    judge(luma, net(luma)).square().sum().backward()
    for parameter in (*net.parameters(), *judge.parameters()):
        assert parameter.grad.isfinite().all() and parameter.grad.any()


def test_the_judge_takes_the_fusion_networks_colours_too():
    net, judge, luma = KoalaFusion(view=5, width=0.5), PatchDiscriminator(width=1 / 16), torch.rand(2, 1, 32, 32)
    judge(luma, net(luma, torch.randn(2, 5))).sum().backward()
    assert all(p.grad.any() for p in net.parameters())


def test_width_multiplies_the_channels():
    with torch.device("meta"):
        net, judge = UNet(width=0.25), PatchDiscriminator(width=0.25)
    assert [m.out_channels for m in net.modules() if isinstance(m, nn.Conv2d)] == [16, 32, 64, 128, 128, 128, 128]
    assert [m.out_channels for m in judge.modules() if isinstance(m, nn.Conv2d)] == [16, 32, 64, 128, 1]
