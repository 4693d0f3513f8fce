"""The residual network: its table as reported, how far it sees, its two outputs."""

import pytest
import torch
from torch import nn

from tintype.nets.residual import Residual

#: Weights without biases, as the report prints them: conv0; each block's longer path, then its shorter one; the end.
WEIGHTS = [
    576,
    73_728, 294_912, 147_456,
    589_824, 589_824,
    1_179_648, 2_359_296, 1_179_648, 589_824,
    1_179_648, 2_359_296, 1_179_648,
    1_179_648, 1_179_648, 2_359_296, 160_256,
]  # fmt: skip


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def convolutions(net):
    return [m for m in net.modules() if isinstance(m, nn.Conv2d)]


def test_weights_are_the_reported_ones_layer_by_layer():
    with torch.device("meta"):
        net = Residual()
    assert [c.weight.numel() for c in convolutions(net)] == WEIGHTS
    with torch.device("meta"):
        net = Residual("ab")
    assert [c.weight.numel() for c in convolutions(net)] == [*WEIGHTS[:-1], 1024]


def test_blocks_have_the_reported_sizes():
    shapes = []
    with torch.device("meta"):
        net = Residual()
        for part in (net.conv0, net.block1, net.block2, net.block3, net.block4, net.last, net.pred):
            part.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape[1:3])))
        net(torch.rand(1, 1, 224, 224))
    assert shapes == [(64, 224), (256, 112), (256, 112), (256, 56), (512, 56), (512, 56), (313, 56)]


def test_an_output_pixel_sees_107_pixels():
    net = Residual(width=1 / 64).eval()
    for parameter in net.parameters():
        nn.init.constant_(parameter, 0.1)  # positive everywhere, so that no ReLU hides a path
    luma = torch.ones(1, 1, 160, 160, dtype=torch.float64, requires_grad=True)
    net.double()(luma)[0, 0, 20, 20].backward()
    rows, columns = luma.grad[0, 0].nonzero().T
    for seen in (rows, columns):
        assert seen.max() - seen.min() + 1 == 107
        assert seen.min() + seen.max() == 2 * 4 * 20, "as far to one side as to the other"


@pytest.mark.parametrize(("output", "channels"), [("classes", 313), ("ab", 2)])
@pytest.mark.parametrize("size", [(4, 4), (20, 36)])
def test_the_output_has_a_quarter_of_the_size(output, channels, size):
    net = Residual(output, width=1 / 32).eval()
    assert net.output == output and net.multiple == net.stride == 4
    assert net(torch.rand(2, 1, *size)).shape == (2, channels, size[0] // 4, size[1] // 4)


@pytest.mark.parametrize("output", ["classes", "ab"])
def test_a_gradient_reaches_every_parameter(output):
    net = Residual(output, width=1 / 16)
    out = net(torch.rand(2, 1, 16, 24))
    (out * torch.randn_like(out)).sum().backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in net.parameters())


def test_another_output_is_refused():
    with pytest.raises(ValueError, match="'classes' or 'ab'"):
        Residual("rgb")
