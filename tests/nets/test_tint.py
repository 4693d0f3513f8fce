"""Tintype's own network: what it begins as, what hints do, and that it can be grown."""

import pytest
import torch

from tintype.nets.tint import Attention, Queries, Residual, Tint

WIDTHS, DEPTHS, UP = (8, 16, 16, 32, 32), (1, 1, 1, 1), (1, 1, 1)


@pytest.mark.parametrize("block", [Residual(32), Attention(32), Attention(176)])
def test_a_block_begins_by_adding_nothing(block):
    width = block.body[0].in_channels if isinstance(block, Residual) else block.out.in_features
    x = torch.rand(2, width, 5, 7)
    assert torch.equal(block.eval()(x), x)


def test_queries_begin_by_adding_nothing_and_can_learn():
    queries, features = Queries(4, (32, 16), 8, 32), torch.rand(2, 8, 12, 12)
    maps = [torch.rand(2, 32, 3, 3), torch.rand(2, 16, 6, 6)]
    assert torch.equal(queries(maps, features), features)
    queries(maps, features).square().sum().backward()
    assert queries.add.weight.grad.abs().max() > 0


@pytest.mark.parametrize("size", [(32, 32), (64, 96)])
def test_a_quarter_of_the_size_comes_out(size):
    net = Tint(torch.rand(5, 2), WIDTHS, DEPTHS, UP, (1, 1), 4, True, 1).eval()
    mean, logits, vivid = net(torch.rand(2, 1, *size), torch.zeros(2, 3, *size))
    h, w = size[0] // 4, size[1] // 4
    assert mean.shape == (2, 2, h, w) and logits.shape == (2, 5, h, w)
    assert torch.equal(mean, vivid), "it begins as the mean"


@pytest.mark.parametrize("at", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_some_logits_are_those_of_all(at):
    net = Tint(torch.rand(5, 2), WIDTHS, DEPTHS, UP).eval()
    features, (dy, dx) = torch.rand(2, 16, 8, 12), at
    assert torch.allclose(net.some_logits(features, dy, dx), net.class_head(features)[:, :, dy::2, dx::2], atol=1e-5)


def test_a_grown_network_gives_what_it_gave():
    torch.manual_seed(0)
    small = Tint(torch.rand(5, 2), WIDTHS, DEPTHS, UP, (1, 0)).eval()
    large = Tint(torch.rand(5, 2), WIDTHS, (1, 3, 2, 1), (2, 1, 1), (2, 2), 8, False, 2).eval()
    large.load_state_dict(small.state_dict() | {"centres": large.centres}, strict=False)
    luma = torch.rand(1, 1, 64, 64)
    for a, b in zip(small(luma), large(luma)[:2], strict=True):
        assert torch.allclose(a, b, atol=1e-6)
