"""Tables of layers: they account for every parameter, however deep they go."""

import pytest
from torch import nn

from tintype.nets import layers
from tintype.nets.autoencoder import Autoencoder
from tintype.nets.koala import Fusion
from tintype.nets.public import PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
@pytest.mark.parametrize("most", [0, 40, 1])
def test_the_rows_sum_to_the_network(name, most):
    known = PUBLIC[name]
    net = layers.on_paper(known.build)
    rows = layers.layers(net, [(1, known.channels, known.size, known.size)], most)
    assert sum(row.parameters for row in rows) == sum(p.numel() for p in net.parameters())
    assert len({row.layer for row in rows}) == len(rows)
    if most == 40:
        assert len(rows) <= most + 10
    if not most:
        convs = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
        assert sum("conv" in row.kind for row in rows) == len(convs)


def test_maps_are_as_reported():
    net, shapes = layers.on_paper(Autoencoder), [(1, 1, 32, 32)]
    assert layers.outputs(net, shapes) == ((32, 32, 3),)
    rows = layers.layers(net, shapes)
    assert [row.output for row in rows if row.parameters] == [
        (16, 16, 64), (8, 8, 128), (4, 4, 256), (256,), (4096,), (8, 8, 256), (16, 16, 128), (32, 32, 64), (32, 32, 3)
    ]  # fmt: skip
    assert rows[0].kind == "conv k3 s2" and rows[-1].kind == "transposed conv k3"


def test_a_layer_that_is_not_called_but_used_is_its_blocks():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fusion, self.unused = Fusion(4, 6), nn.Conv2d(1, 2, (1, 7), bias=False)

        def forward(self, x, view):
            return self.fusion(x, view)

    rows = layers.layers(layers.on_paper(Net), [(1, 4, 8, 8), (1, 6)])
    assert [(r.layer, r.kind, r.output, r.parameters) for r in rows] == [
        ("fusion", "conv k1", (8, 8, 4), 44),
        ("unused", "conv k1x7", (), 14),
    ]


def test_what_neither_weighs_nor_shapes_is_left_out():
    net = layers.on_paper(lambda: nn.Sequential(nn.ReLU(), nn.Conv2d(1, 3, 3, dilation=2), nn.Dropout(), nn.Flatten()))
    assert [r.kind for r in layers.layers(net, [(1, 1, 8, 8)])] == ["conv k3 dilation 2", "flatten"]
