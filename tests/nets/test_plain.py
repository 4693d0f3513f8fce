import pytest
import torch
from torch import nn

from tintype.nets.lab import lightness
from tintype.nets.plain import Plain

#: Weights per layer in thousands, cut after the first decimal, as reported.
THOUSANDS = {
    "model1": (0.5, 36.8),
    "model2": (73.7, 147.4),
    "model3": (294.9, 589.8, 589.8),
    "model4": (1179.6, 2359.2, 2359.2),
    "model5": (2359.2, 2359.2, 2359.2),
    "model6": (2359.2, 2359.2, 2359.2),
    "model7": (2359.2, 2359.2, 2359.2),
    "model8": (2097.1, 589.8, 589.8, 80.1),
}


def convolutions(part):
    return [m for m in part.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]


def test_every_layer_has_the_reported_number_of_weights():
    with torch.device("meta"):
        net = Plain()
    for name, expected in THOUSANDS.items():
        got = [m.weight.numel() // 100 / 10 for m in convolutions(net.get_submodule(name))]
        assert got == list(expected), name
    parts = sum(p.numel() for name in THOUSANDS for p in net.get_submodule(name).parameters())
    assert parts // 10_000 == 3223


def test_blocks_five_and_six_are_dilated_and_nothing_pools():
    with torch.device("meta"):
        net = Plain()
    dilated = [name for name in THOUSANDS if any(m.dilation != (1, 1) for m in convolutions(net.get_submodule(name)))]
    assert dilated == ["model5", "model6"]
    assert not any("Pool" in type(m).__name__ for m in net.modules())


@pytest.mark.parametrize(("output", "channels"), [("classes", 313), ("ab", 2)])
@pytest.mark.parametrize("size", [(224, 224), (8, 40)])
def test_output_is_a_quarter_of_the_input(output, channels, size):
    with torch.device("meta"):
        net, luma = Plain(output), torch.empty(2, 1, *size)
    assert net.output == output
    assert net(luma).shape == (2, channels, size[0] // net.stride, size[1] // net.stride)


def test_receptive_field():
    """With positive weights no gradient is lost, so the pixels that have one are those that an output sees."""
    net = Plain("ab", width=1 / 64).double().eval()
    for layer in convolutions(net):
        nn.init.constant_(layer.weight, 1 / layer.weight[0].numel())
        nn.init.zeros_(layer.bias)
    luma = torch.full((1, 1, 480, 480), 0.9, dtype=torch.float64, requires_grad=True)
    ab = net(luma)[0, 0]
    seen = {}
    for name, outputs in (("even", ab[60, 60]), ("odd", ab[61, 61]), ("both", ab[60:62, 60:62].sum())):
        (gradient,) = torch.autograd.grad(outputs, luma, retain_graph=True)
        rows, columns = gradient[0, 0].nonzero().T
        seen[name] = (int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1)
    assert seen == {"even": (349, 349), "odd": (349, 349), "both": (357, 357)}


def test_lightness_enters_centred():
    net = Plain(width=1 / 16).eval()
    entered = []
    net.model1.register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0]))
    luma = torch.rand(1, 1, 8, 8)
    net(luma)
    assert torch.allclose(entered[0] * 100 + 50, lightness(luma), atol=1e-4)


def test_ab_is_in_cielab_units():
    net = Plain("ab", width=1 / 16).eval()
    nn.init.zeros_(net.model8[6].weight)
    net.model8[6].bias.data = torch.tensor([0.5, -0.25])
    ab = net(torch.rand(1, 1, 8, 8))
    assert torch.allclose(ab, torch.tensor([55.0, -27.5])[None, :, None, None].expand_as(ab))


def test_centres_travel_with_the_weights_and_are_not_trained():
    net, other = Plain(width=1 / 16), Plain(width=1 / 16)
    centres = torch.randint(-11, 12, (313, 2)) * 10.0
    net.model_out.weight.data = (centres / 110).T[:, :, None, None]
    other.load_state_dict(net.state_dict())
    assert torch.allclose(other.centres(), centres, atol=1e-4)
    # As the release uses them: a 1x1 convolution from one class to that class's ab, in units of 110.
    chosen = torch.eye(313)[:, :, None, None]
    assert torch.allclose(other.model_out(chosen)[:, :, 0, 0] * 110, centres, atol=1e-4)
    assert not net.model_out.weight.requires_grad


def test_the_ab_form_has_no_classes():
    net = Plain("ab", width=1 / 16)
    assert not any(key.startswith("model_out") for key in net.state_dict())
    with pytest.raises(ValueError, match="no classes"):
        net.centres()


def test_an_unknown_output_is_refused():
    with pytest.raises(ValueError, match="lab"):
        Plain("lab")


@pytest.mark.parametrize("output", ["classes", "ab"])
def test_every_trained_weight_has_a_gradient(output):
    torch.manual_seed(0)
    net = Plain(output, width=1 / 8)
    net(torch.rand(2, 1, 32, 32)).square().mean().backward()
    for name, parameter in net.named_parameters():
        assert name == "model_out.weight" or parameter.grad.abs().sum() > 0, name
