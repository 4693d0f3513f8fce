import pytest
import torch
from torch import nn

from tintype.nets.inception_resnet_v2 import InceptionResnetV2


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return InceptionResnetV2().eval()


@pytest.mark.parametrize(("size", "grid"), [((299, 299), (8, 8)), ((75, 107), (1, 2))])
def test_features_and_logits_have_their_shapes(size, grid):
    with torch.device("meta"):
        net, rgb = InceptionResnetV2(), torch.empty(2, 3, *size)
    assert net.features(rgb).shape == (2, 1536, *grid)
    assert net(rgb).shape == (2, 1000)


def test_stages_have_their_sizes():
    with torch.device("meta"):
        net, rgb = InceptionResnetV2(), torch.empty(1, 3, 299, 299)
    seen = {}
    for name in ("maxpool_3a", "mixed_5b", "mixed_6a", "mixed_7a"):
        net.get_submodule(name).register_forward_hook(
            lambda _, inputs, output, name=name: seen.update({name: (*output.shape[1:],)})
        )
    net(rgb)
    assert seen == {
        "maxpool_3a": (64, 73, 73),
        "mixed_5b": (320, 35, 35),
        "mixed_6a": (1088, 17, 17),
        "mixed_7a": (2080, 8, 8),
    }


@pytest.mark.parametrize(
    ("name", "width", "scale"),
    [("repeat.9", 320, 0.17), ("repeat_1.19", 1088, 0.1), ("repeat_2.8", 2080, 0.2), ("block8", 2080, 1.0)],
)
def test_residual_blocks_add_a_scaled_part_and_only_the_last_lets_negatives_through(name, width, scale):
    with torch.device("meta"):
        shape = InceptionResnetV2().get_submodule(name)
    block = shape.to_empty(device="cpu").eval()
    for parameter in block.parameters():
        nn.init.zeros_(parameter)
    for norm in (m for m in block.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.reset_running_stats()
    nn.init.ones_(block.conv2d.bias)
    x = torch.randn(1, width, 3, 3)
    expected = x + scale
    with torch.no_grad():
        assert torch.allclose(block(x), expected if name == "block8" else expected.clamp_min(0))


def test_grey_is_three_equal_channels_between_minus_one_and_one(net):
    entered = []
    hook = net.conv2d_1a.register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0]))
    luma = torch.linspace(0, 1, 75 * 75).view(1, 1, 75, 75)
    with torch.no_grad():
        assert torch.equal(net(luma), net(luma.expand(-1, 3, -1, -1)))
    hook.remove()
    assert entered[0].shape == (1, 3, 75, 75)
    assert entered[0].min() == -1 and entered[0].max() == 1


def test_a_picture_does_not_depend_on_its_batch(net):
    pictures = torch.rand(2, 3, 75, 75)
    with torch.no_grad():
        together, alone = net(pictures), net(pictures[1:])
    assert torch.allclose(together[1:], alone, rtol=1e-3, atol=1e-5)
    assert not torch.allclose(together[0], together[1], rtol=1e-3, atol=1e-5)


def test_borders_are_averaged_over_what_is_there(net):
    even = torch.ones(1, 192, 5, 5)
    assert torch.equal(net.mixed_5b.branch3[0](even), even)


def test_batch_normalization_has_tensorflows_epsilon():
    with torch.device("meta"):
        norms = [m for m in InceptionResnetV2().modules() if isinstance(m, nn.BatchNorm2d)]
    assert {norm.eps for norm in norms} == {0.001}
