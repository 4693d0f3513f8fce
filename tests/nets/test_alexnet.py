import pytest
import torch
from torch.nn import functional as F

from tintype.nets.alexnet import AlexNet, AlexNetFeatures
from tintype.nets.layers import on_paper

#: torchvision's.
WEIGHTS = {
    "features.0": (64, 3, 11, 11),
    "features.3": (192, 64, 5, 5),
    "features.6": (384, 192, 3, 3),
    "features.8": (256, 384, 3, 3),
    "features.10": (256, 256, 3, 3),
    "classifier.1": (4096, 9216),
    "classifier.4": (4096, 4096),
    "classifier.6": (1000, 4096),
}


def test_tensors_are_torchvisions():
    net = on_paper(AlexNet)
    expected = {f"{name}.weight": shape for name, shape in WEIGHTS.items()}
    expected |= {f"{name}.bias": shape[:1] for name, shape in WEIGHTS.items()}
    assert {name: tuple(value.shape) for name, value in net.state_dict().items()} == expected
    assert sum(p.numel() for p in net.parameters()) == 61_100_840
    assert sum(p.numel() for p in on_paper(AlexNetFeatures).parameters()) == 2_469_696


def test_sizes():
    net, rgb = on_paper(AlexNet), torch.empty(2, 3, 224, 224, device="meta")
    assert net(rgb).shape == (2, 1000)
    shapes = [tuple(stage.shape[1:]) for stage in net.stages(rgb)]
    assert shapes == [(64, 55, 55), (192, 27, 27), (384, 13, 13), (256, 13, 13), (256, 13, 13)]
    assert [s.shape[-1] for s in net.stages(torch.empty(1, 3, 31, 31, device="meta"))][-1] == 1


def test_stages_are_what_the_layers_give_one_after_another():
    torch.manual_seed(0)
    net, rgb = AlexNetFeatures(), torch.rand(1, 3, 64, 64)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        stages = net.stages(rgb)
        x = F.relu(net.features[0]((rgb - mean[:, None, None]) / deviation[:, None, None]))
        assert torch.allclose(stages[0], x, atol=1e-6)
        x = F.relu(net.features[3](F.max_pool2d(x, 3, 2)))
        assert torch.allclose(stages[1], x, atol=1e-6)
        assert torch.allclose(F.max_pool2d(stages[4], 3, 2), net(rgb), atol=1e-6)
    assert all(stage.min() >= 0 for stage in stages)


def test_features_load_from_the_whole():
    torch.manual_seed(0)
    state = {name: value for name, value in AlexNetFeatures().state_dict().items()} | {
        "classifier.1.weight": torch.ones(1)
    }
    net = AlexNetFeatures()
    net.load_features(state)
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    with pytest.raises(KeyError):
        net.load_features({})
