import pytest
import torch

from tintype.nets.vgg16 import Vgg16, Vgg16Features

CHANNELS = (64, 128, 256, 512, 512)


def test_logits_and_features_have_their_shapes():
    with torch.device("meta"):
        net, rgb = Vgg16(), torch.empty(2, 3, 256, 224)
    assert net(rgb).shape == (2, 1000)
    for block, channels in enumerate(CHANNELS, 1):
        assert net.features_up_to(rgb, block).shape == (2, channels, 256 >> block, 224 >> block)


@pytest.mark.parametrize("blocks", range(1, 6))
def test_the_first_blocks_are_those_of_the_whole(blocks):
    with torch.device("meta"):
        part, whole = Vgg16Features(blocks), Vgg16()
    shapes = {name: value.shape for name, value in whole.state_dict().items()}
    assert all(value.shape == shapes[name] for name, value in part.state_dict().items())
    assert part(torch.empty(1, 3, 64, 64, device="meta")).shape == (1, CHANNELS[blocks - 1], 64 >> blocks, 64 >> blocks)


def test_loaded_blocks_give_what_the_network_gives_they_come_from():
    torch.manual_seed(0)
    whole, part = Vgg16Features(3), Vgg16Features(2)
    rgb = torch.rand(1, 3, 16, 24)
    assert not torch.equal(part(rgb), whole.features_up_to(rgb, 2))
    part.load_blocks(whole.state_dict())
    assert torch.equal(part(rgb), whole.features_up_to(rgb, 2))


def test_grey_is_three_equal_channels():
    net, luma = Vgg16Features(1), torch.rand(2, 1, 8, 8)
    assert torch.equal(net(luma), net(luma.expand(-1, 3, -1, -1)))


def test_the_mean_picture_enters_as_zero_and_one_deviation_more_as_one():
    net, entered = Vgg16Features(1), []
    net.features[0].register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0]))
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    for colour in (mean, mean + deviation):
        net(colour[None, :, None, None].expand(1, 3, 4, 4))
    assert entered[0].abs().max() < 1e-6
    assert (entered[1] - 1).abs().max() < 1e-6


def test_frozen_blocks_pass_the_gradient_on():
    net = Vgg16Features(2).requires_grad_(False)
    rgb = torch.rand(1, 3, 8, 8, requires_grad=True)
    net(rgb).sum().backward()
    assert rgb.grad.abs().sum() > 0
    assert all(p.grad is None for p in net.parameters())


def test_blocks_that_do_not_exist_are_refused():
    for blocks in (0, 6):
        with pytest.raises(ValueError, match="1 to 5"):
            Vgg16Features(blocks)
    with pytest.raises(ValueError, match="1 to 2"):
        Vgg16Features(2).features_up_to(torch.rand(1, 3, 8, 8), 3)
