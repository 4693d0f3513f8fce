"""The networks that public weights are for, by the names of their cards, and how those are read."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from tintype.errors import ModelError
from tintype.nets.alexnet import AlexNet
from tintype.nets.inception_fid import InceptionFid
from tintype.nets.inception_resnet_v2 import InceptionResnetV2
from tintype.nets.layers import on_paper
from tintype.nets.lpips import ALEX, VGG, Weighing
from tintype.nets.plain import Plain
from tintype.nets.siggraph17 import Siggraph17
from tintype.nets.vgg16 import Vgg16


@dataclass(frozen=True)
class Public:
    """`build` makes the network; it was trained with pictures of `size` x `size` pixels and `channels` channels."""

    build: Callable[[], nn.Module]
    size: int
    channels: int = 1


PUBLIC: dict[str, Public] = {
    "eccv16": Public(Plain, 224),
    "siggraph17": Public(Siggraph17, 256),
    "vgg16": Public(Vgg16, 224, 3),
    "inception-resnet-v2": Public(InceptionResnetV2, 299, 3),
    "fid-inception": Public(InceptionFid, 299, 3),
    "alexnet": Public(AlexNet, 224, 3),
    "lpips-alex": Public(partial(Weighing, ALEX), 1, sum(ALEX)),  # not a picture but the differences of two
    "lpips-vgg": Public(partial(Weighing, VGG), 1, sum(VGG)),
}


def read(path: Path) -> Mapping[str, Tensor]:
    """The tensors in a file of weights, by name. Raises ModelError for one that is damaged or holds anything that would run."""
    try:
        state = torch.load(path, "cpu", weights_only=True)
    except pickle.UnpicklingError:  # torch's text says how to run it all the same
        raise ModelError(f"{path}: is damaged, or holds a program instead of numbers") from None
    except Exception as error:  # whatever a damaged file makes of the reader
        cause = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(f"{path}: holds no weights that can be read: {cause[0]}") from None
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ModelError(f"{path}: holds something else than tensors by name")
    return state


def check(name: str, path: Path) -> None:
    """Hold a file against the network that the weights `name` are for, tensor by tensor.

    Raises ModelError where one is missing, too many or of another shape, and as `read` does.
    """
    net = on_paper(PUBLIC[name].build)
    try:
        net.load_state_dict(read(path), assign=True)
    except RuntimeError as error:
        cause = " ".join(line.strip() for line in str(error).splitlines()[1:2])
        raise ModelError(f"{path}: holds no weights of {name}: {cause}") from None
