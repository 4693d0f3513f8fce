"""LPIPS 0.1 (Zhang, Isola, Efros, Shechtman, Wang 2018): how different two pictures look, by a classifier's features.

Both pictures go through the classifier; at five depths the features of every place are brought to length 1, and their
squared differences are averaged over the picture and weighed by a number per channel, learned from people's answers
(equation 1). LPIPS's own scaling of its input in [-1, 1] is ImageNet's mean and deviation for one in [0, 1], which AlexNet
and VGG16 here hold themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from tintype.nets.alexnet import LAYERS, AlexNetFeatures
from tintype.nets.vgg16 import BLOCKS, Vgg16Features

#: Channels at the five depths: of AlexNet after each ReLU of its convolutions, of VGG16 after the last of each block.
ALEX = tuple(layer[0] for layer in LAYERS)
VGG = tuple(channels for channels, _ in BLOCKS)
#: Added to a length before dividing by it.
_LEAST = 1e-10


class Lin(nn.Module):
    """A number for each of `channels`; named as in the released files. The dropout was for their training."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Dropout(), nn.Conv2d(channels, 1, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, 1, H, W)."""
        y: Tensor = self.model(x)
        return y


class Weighing(nn.Module):
    """LPIPS's learned part: `lin0.model.1.weight` (1, channels, 1, 1) to `lin4.model.1.weight`, all from 0."""

    #: In words, for `tintype models show`.
    takes, gives = "squared differences of features, averaged over two pictures", "their distance"

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.channels = list(channels)
        for number, count in enumerate(channels):
            self.add_module(f"lin{number}", Lin(count))

    def forward(self, differences: Tensor) -> Tensor:
        """Squared differences of all depths (N, sum of channels, 1, 1) -> distances (N,)."""
        parts = torch.split(differences, self.channels, 1)
        weighed = [self.get_submodule(f"lin{number}")(part) for number, part in enumerate(parts)]
        return torch.cat(weighed, 1).sum((1, 2, 3))


class Lpips(nn.Module):
    """The distance of two pictures. Lower is more alike, 0 for equal ones; 1 is very far."""

    def __init__(self, trunk: AlexNetFeatures | Vgg16Features, weighing: Weighing) -> None:
        super().__init__()
        self.trunk, self.weighing = trunk, weighing

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """RGB (N, 3, H, W) and the same, in [0, 1], sides from 32 -> distances (N,)."""
        return self.apart(self.look(a), self.look(b))

    def look(self, rgb: Tensor) -> list[Tensor]:
        """RGB (N, 3, H, W) -> the features of the five depths."""
        return stages(self.trunk, rgb)

    def apart(self, a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
        """Two pictures' features -> distances (N,)."""
        distances: Tensor = self.weighing(differences(a, b))
        return distances


def stages(trunk: AlexNetFeatures | Vgg16Features, rgb: Tensor) -> list[Tensor]:
    """RGB (N, 3, H, W) in [0, 1] -> the features (N, C, h, w) of the five depths that LPIPS looks at."""
    if isinstance(trunk, AlexNetFeatures):
        return trunk.stages(rgb)
    x, found, begin = (rgb - trunk.mean) / trunk.deviation, list[Tensor](), 0
    for end in trunk.ends:
        x = trunk.features[begin : end - 1](x)  # without the block's pool, with which the next begins
        found.append(x)
        begin = end - 1
    return found


def differences(a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
    """Features (N, C, h, w) of any depths, of two pictures -> squared differences of the unit vectors, averaged over the picture (N, sum of C, 1, 1)."""
    means = [(_unit(x) - _unit(y)).square().mean((2, 3), keepdim=True) for x, y in zip(a, b, strict=True)]
    return torch.cat(means, 1)


def _unit(x: Tensor) -> Tensor:
    """The vector of every place brought to length 1."""
    return x / (x.square().sum(1, keepdim=True).sqrt() + _LEAST)


def lpips_alex(alexnet: Mapping[str, Tensor], learned: Mapping[str, Tensor]) -> Lpips:
    """LPIPS on AlexNet, from the tensors of both files. Raises KeyError and RuntimeError for others'."""
    trunk, weighing = AlexNetFeatures(), Weighing(ALEX)
    trunk.load_features(alexnet)
    return _loaded(trunk, weighing, learned)


def lpips_vgg(vgg16: Mapping[str, Tensor], learned: Mapping[str, Tensor]) -> Lpips:
    """LPIPS on VGG16, from the tensors of both files. Raises KeyError and RuntimeError for others'."""
    trunk, weighing = Vgg16Features(), Weighing(VGG)
    trunk.load_blocks(vgg16)
    return _loaded(trunk, weighing, learned)


def _loaded(trunk: AlexNetFeatures | Vgg16Features, weighing: Weighing, learned: Mapping[str, Tensor]) -> Lpips:
    weighing.load_state_dict(dict(learned))
    net: Lpips = Lpips(trunk, weighing).requires_grad_(False).eval()
    return net
