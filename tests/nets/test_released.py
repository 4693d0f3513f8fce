"""The networks that take released weights: those must fit as they are, name for name and shape for shape."""

import json
from pathlib import Path

import pytest
import torch

from tintype.nets.inception_resnet_v2 import InceptionResnetV2
from tintype.nets.plain import Plain
from tintype.nets.siggraph17 import Siggraph17
from tintype.nets.vgg16 import Vgg16, Vgg16Features

RELEASED = Path(__file__).parents[3] / "shared" / "released-state-dicts.json"

NETS = {
    "eccv16": (Plain, 32_236_011),
    "siggraph17": (Siggraph17, 34_187_027),
    "vgg16": (Vgg16, 138_357_544),
    "inception_resnet_v2": (InceptionResnetV2, 55_843_464),
}


def on_paper(build, *arguments):
    """A network with shapes but without numbers."""
    with torch.device("meta"):
        return build(*arguments)


def released(name):
    """What the released file of that name holds, without its numbers."""
    if not RELEASED.exists():
        pytest.skip("the released weights' names and shapes (../shared/released-state-dicts.json) are not here")
    tensors = json.loads(RELEASED.read_text())[name]["tensors"]
    return {key: torch.empty(shape, device="meta") for key, shape in tensors.items()}


@pytest.mark.parametrize("name", NETS)
def test_names_and_shapes_are_the_released_ones(name):
    expected = {key: tuple(value.shape) for key, value in released(name).items()}
    net = on_paper(NETS[name][0])
    assert {key: tuple(value.shape) for key, value in net.state_dict().items()} == expected
    net.load_state_dict(released(name), strict=True)


@pytest.mark.parametrize("name", NETS)
def test_parameters_are_as_many_as_released(name):
    build, count = NETS[name]
    assert sum(p.numel() for p in on_paper(build).parameters()) == count


@pytest.mark.parametrize("blocks", [1, 2, 5])
def test_vgg_blocks_load_from_a_whole_vgg(blocks):
    on_paper(Vgg16Features, blocks).load_blocks(released("vgg16"))


def test_other_networks_weights_are_refused():
    with pytest.raises(RuntimeError, match="model8up"):
        on_paper(Plain).load_state_dict(released("siggraph17"))
    with pytest.raises(KeyError, match=r"features\.0"):
        on_paper(Vgg16Features, 1).load_blocks(released("eccv16"))
