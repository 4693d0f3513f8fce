"""LPIPS against itself worked out in another way, and what any distance of pictures must do."""

import math

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image, ImageFilter
from torch.nn import functional as F

from tintype.nets.alexnet import AlexNetFeatures
from tintype.nets.lpips import ALEX, VGG, Lpips, Weighing, differences, lpips_alex, lpips_vgg, stages
from tintype.nets.vgg16 import Vgg16Features


def learned(channels):
    """Tensors as the released files hold them, with numbers from 0."""
    generator = torch.Generator().manual_seed(1)
    return {f"lin{i}.model.1.weight": torch.rand(1, n, 1, 1, generator=generator) for i, n in enumerate(channels)}


@pytest.fixture(scope="module", params=["alex", "vgg"])
def net(request):
    torch.manual_seed(0)
    if request.param == "alex":
        return lpips_alex(AlexNetFeatures().state_dict(), learned(ALEX))
    return lpips_vgg(Vgg16Features().state_dict(), learned(VGG))


def planes(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255


@pytest.fixture(scope="module")
def cat():
    return Image.fromarray(skimage.data.chelsea()[40:168, 100:228])


@pytest.mark.parametrize(("channels", "count"), [(ALEX, 1152), (VGG, 1472)])
def test_tensors_are_those_of_the_released_files(channels, count):
    state = Weighing(channels).state_dict()
    assert {k: v.shape for k, v in state.items()} == {k: v.shape for k, v in learned(channels).items()}
    assert sum(v.numel() for v in state.values()) == count


def test_channels_are_those_of_the_trunks():
    rgb = torch.rand(1, 3, 32, 32)
    assert tuple(x.shape[1] for x in stages(AlexNetFeatures(), rgb)) == ALEX
    found = stages(Vgg16Features(), rgb)
    assert [tuple(x.shape[1:]) for x in found] == [(n, 32 >> i, 32 >> i) for i, n in enumerate(VGG)]


def test_differences_worked_out_by_hand():
    a = torch.tensor([3.0, 4.0])[None, :, None, None]
    b = torch.tensor([0.0, 5.0])[None, :, None, None]
    assert differences([a], [b]).flatten().tolist() == pytest.approx([0.36, 0.04])
    beside = torch.cat([b, b], 3)  # half of the places differ
    assert differences([torch.cat([a, b], 3)], [beside]).flatten().tolist() == pytest.approx([0.18, 0.02])
    assert differences([7 * a], [a]).sum() < 1e-12, "lengths don't count"
    weighing = Weighing((2,))
    weighing.load_state_dict({"lin0.model.1.weight": torch.tensor([2.0, 10.0])[None, :, None, None]})
    assert weighing.eval()(differences([a], [b])).tolist() == pytest.approx([2 * 0.36 + 10 * 0.04])


def test_it_is_the_published_formula():
    """With LPIPS's own scaling of [-1, 1], convolutions of 1x1 over whole maps, and their means summed."""
    torch.manual_seed(0)
    trunk, weights = AlexNetFeatures(), learned(ALEX)
    a, b = torch.rand(2, 1, 3, 64, 80)

    def normalized(rgb):
        shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
        x, found = ((2 * rgb - 1) - shift[:, None, None]) / scale[:, None, None], []
        for layer in trunk.features:
            x = layer(x)
            if isinstance(layer, torch.nn.ReLU):
                found.append(x / (torch.sqrt(torch.sum(x**2, 1, keepdim=True)) + 1e-10))
        return found

    with torch.no_grad():
        maps = [(x - y) ** 2 for x, y in zip(normalized(a), normalized(b), strict=True)]
        expected = sum(F.conv2d(m, w).mean() for m, w in zip(maps, weights.values(), strict=True))
        assert lpips_alex(trunk.state_dict(), weights)(a, b).item() == pytest.approx(expected.item(), rel=1e-4)


def test_equal_pictures_are_at_zero_and_order_does_not_matter(net, cat):
    a, b = planes(cat), planes(cat.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    with torch.inference_mode():
        assert net(a, a).item() == 0
        assert net(a, b).item() == pytest.approx(net(b, a).item(), rel=1e-5) != 0
        both = net(torch.cat([a, b]), torch.cat([b, b]))
    assert both.shape == (2,) and both[1] == 0 and both[0] > 0


def test_it_grows_with_blur(net, cat):
    a = planes(cat)
    with torch.inference_mode():
        far = [net(a, planes(cat.filter(ImageFilter.GaussianBlur(radius)))).item() for radius in (0.5, 1.5, 4)]
    assert 0 < far[0] < far[1] < far[2] < math.inf


def test_others_weights_are_refused():
    trunk = AlexNetFeatures().state_dict()
    with pytest.raises(RuntimeError, match="lin1"):
        lpips_alex(trunk, learned(VGG))
    with pytest.raises(KeyError):
        lpips_vgg(trunk, learned(VGG))


def test_it_is_frozen_and_drops_nothing_out(net):
    assert isinstance(net, Lpips) and not net.training
    assert not any(p.requires_grad for p in net.parameters())
