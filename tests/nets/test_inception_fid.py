"""FID's Inception: its tensors are those of the published file, and where it differs from torchvision's it differs rightly."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tintype.nets.inception_fid import InceptionFid
from tintype.nets.inception_resnet_v2 import Conv
from tintype.nets.layers import on_paper

#: Some of the published names, and the shapes that only they can have.
PUBLISHED = {
    "Conv2d_1a_3x3.conv.weight": (32, 3, 3, 3),
    "Conv2d_4a_3x3.bn.running_var": (192,),
    "Mixed_5b.branch5x5_2.conv.weight": (64, 48, 5, 5),
    "Mixed_5b.branch_pool.conv.weight": (32, 192, 1, 1),
    "Mixed_5d.branch3x3dbl_3.conv.weight": (96, 96, 3, 3),
    "Mixed_6a.branch3x3.conv.weight": (384, 288, 3, 3),
    "Mixed_6b.branch7x7dbl_4.conv.weight": (128, 128, 7, 1),
    "Mixed_6c.branch7x7_2.conv.weight": (160, 160, 1, 7),
    "Mixed_6e.branch7x7dbl_5.conv.weight": (192, 192, 1, 7),
    "Mixed_7a.branch7x7x3_3.conv.weight": (192, 192, 7, 1),
    "Mixed_7a.branch3x3_2.bn.bias": (320,),
    "Mixed_7b.branch3x3dbl_2.conv.weight": (384, 448, 3, 3),
    "Mixed_7c.branch3x3_2a.conv.weight": (384, 384, 1, 3),
    "Mixed_7c.branch3x3dbl_3b.conv.weight": (384, 384, 3, 1),
    "fc.weight": (1008, 2048),
}
#: The branches in the order in which their outputs lie side by side, and how many channels each has.
ORDER = {
    "Mixed_5c": [("branch1x1", 64), ("branch5x5_2", 64), ("branch3x3dbl_3", 96), ("branch_pool", 64)],
    "Mixed_6b": [("branch1x1", 192), ("branch7x7_3", 192), ("branch7x7dbl_5", 192), ("branch_pool", 192)],
    "Mixed_7c": [
        ("branch1x1", 320),
        ("branch3x3_2a", 384),
        ("branch3x3_2b", 384),
        ("branch3x3dbl_3a", 384),
        ("branch3x3dbl_3b", 384),
        ("branch_pool", 192),
    ],
}


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return InceptionFid().eval()


def test_tensors_are_those_of_the_published_file(net):
    state = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    assert {name: state.get(name) for name in PUBLISHED} == PUBLISHED
    assert len(state) == 94 * 6 + 2, "94 convolutions with their norms, and the classifier"
    # torchvision's 27,161,264, less 3,326,696 of its auxiliary classifier, and 8 classes more.
    assert sum(p.numel() for p in net.parameters()) == 27_161_264 - 3_326_696 + 8 * 2049


def test_maps_have_the_papers_sizes():
    net, seen = on_paper(InceptionFid), {}
    for name in ("Mixed_5b", "Mixed_5d", "Mixed_6a", "Mixed_6e", "Mixed_7a", "Mixed_7c"):
        net.get_submodule(name).register_forward_hook(
            lambda _, inputs, output, name=name: seen.update({name: (*output.shape[1:],)})
        )
    assert net(torch.empty(2, 3, 200, 310, device="meta")).shape == (2, 1008)
    assert seen == {
        "Mixed_5b": (256, 35, 35),
        "Mixed_5d": (288, 35, 35),
        "Mixed_6a": (768, 17, 17),
        "Mixed_6e": (768, 17, 17),
        "Mixed_7a": (1280, 8, 8),
        "Mixed_7c": (2048, 8, 8),
    }


@pytest.mark.parametrize("name", ORDER)
def test_branches_lie_in_the_published_order(name):
    torch.manual_seed(0)
    block = InceptionFid().get_submodule(name).eval()
    expected = []
    for mark, (branch, channels) in enumerate(ORDER[name], 1):
        norm = block.get_submodule(branch).bn
        nn.init.zeros_(norm.weight)
        nn.init.constant_(norm.bias, mark)
        expected += [float(mark)] * channels
    before = block.branch_pool.conv.in_channels
    with torch.no_grad():
        assert block(torch.rand(1, before, 3, 3))[0, :, 1, 1].tolist() == expected


@pytest.mark.parametrize("name", ["Mixed_5b", "Mixed_6c", "Mixed_7b"])
def test_means_leave_the_border_out(net, name):
    ones = torch.ones(1, 1, 4, 4)
    assert torch.equal(net.get_submodule(name).pool(ones), ones)
    assert F.avg_pool2d(ones, 3, 1, 1)[0, 0, 0, 0] == pytest.approx(4 / 9)  # what torchvision's have in a corner


def test_the_last_block_takes_the_greatest(net):
    x = torch.zeros(1, 1, 5, 5)
    x[0, 0, 2, 2] = 9
    pooled = net.Mixed_7c.pool(x)
    assert pooled[0, 0, 1:4, 1:4].eq(9).all() and pooled.sum() == 81


def test_pictures_enter_at_299_pixels_between_minus_one_and_one(net):
    entered = []
    hook = net.Conv2d_1a_3x3.register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0]))
    with torch.no_grad():
        features = net.features(torch.stack([torch.zeros(3, 40, 60), torch.ones(3, 40, 60)]))
        hook.remove()
    assert entered[0].shape == (2, 3, 299, 299)
    assert entered[0][0].eq(-1).all() and (entered[0][1] - 1).abs().max() < 1e-5
    assert features.shape == (2, 2048) and features.min() >= 0 and not torch.equal(features[0], features[1])


def test_norms_divide_as_tensorflows_do(net):
    assert {m.bn.eps for m in net.modules() if isinstance(m, Conv)} == {0.001}
