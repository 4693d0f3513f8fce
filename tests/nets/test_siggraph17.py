import pytest
import torch
from torch import nn

from tintype.nets.lab import lightness
from tintype.nets.siggraph17 import Siggraph17


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Siggraph17(width=1 / 16).eval()


@pytest.mark.parametrize("size", [(256, 256), (8, 24)])
def test_ab_has_the_inputs_size_and_classes_a_quarter(size):
    with torch.device("meta"):
        net, luma, hints = Siggraph17(), torch.empty(2, 1, *size), torch.empty(2, 3, *size)
    assert net(luma, hints).shape == (2, 2, *size)
    assert net.class_logits(luma, hints).shape == (2, 529, size[0] // 4, size[1] // 4)


def test_blocks_five_and_six_are_dilated_and_work_at_an_eighth(net):
    sizes = {}
    for i in range(1, 8):
        net.get_submodule(f"model{i}").register_forward_hook(
            lambda _, inputs, output, i=i: sizes.update({i: tuple(output.shape[2:])})
        )
    net(torch.rand(1, 1, 32, 64))
    assert sizes == {1: (32, 64), 2: (16, 32), 3: (8, 16), **dict.fromkeys((4, 5, 6, 7), (4, 8))}
    dilated = {
        name.split(".")[0] for name, m in net.named_modules() if isinstance(m, nn.Conv2d) and m.dilation != (1, 1)
    }
    assert dilated == {"model5", "model6"}


def test_no_hints_are_hints_nowhere(net):
    luma = torch.rand(2, 1, 16, 24)
    nowhere = torch.zeros(2, 3, 16, 24)
    assert torch.equal(net(luma), net(luma, nowhere))
    assert torch.equal(net.class_logits(luma), net.class_logits(luma, nowhere))


def test_hints_reach_both_heads_from_every_plane(net):
    luma = torch.rand(1, 1, 16, 16)
    for plane, value in ((0, 60.0), (1, -60.0), (2, 1.0)):
        hints = torch.zeros(1, 3, 16, 16)
        hints[0, plane, 8, 8] = value
        assert not torch.equal(net(luma), net(luma, hints))
        assert not torch.equal(net.class_logits(luma), net.class_logits(luma, hints))


def test_what_enters_the_first_layer(net):
    entered = []
    net.model1.register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0]))
    luma = torch.rand(1, 1, 8, 8)
    hints = torch.stack([torch.full((8, 8), 55.0), torch.full((8, 8), -110.0), torch.ones(8, 8)])[None]
    net(luma, hints)
    light, a, b, mask = entered[0].unbind(1)
    assert torch.allclose(light * 100 + 50, lightness(luma)[:, 0], atol=1e-4)
    assert torch.allclose(torch.stack([a, b, mask], 1), hints / torch.tensor([110.0, 110.0, 1.0])[:, None, None])


def test_ab_reaches_the_limits_and_stays_within(net):
    nn.init.zeros_(net.model_out[0].weight)
    net.model_out[0].bias.data = torch.tensor([100.0, -100.0])
    ab = net(torch.rand(1, 1, 8, 8))
    assert torch.allclose(ab[:, 0], torch.tensor(110.0)) and torch.allclose(ab[:, 1], torch.tensor(-110.0))


def test_both_heads_train_the_trunk(net):
    net.train()
    luma = torch.rand(2, 1, 32, 32)
    for result, head in ((net(luma), "model_out.0.weight"), (net.class_logits(luma), "model_class.0.weight")):
        net.zero_grad()
        result.square().mean().backward()
        assert net.get_parameter(head).grad.abs().sum() > 0
        assert net.get_parameter("model1.0.weight").grad.abs().sum() > 0
