"""AlexNet in one stream (Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks"), 1000 ImageNet classes.

Module names are torchvision's (`features.N`, `classifier.N`), so that its weights load as they are: 61,100,840 parameters,
of which the convolutions are 2,469,696. Whoever wants only features builds only those.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

#: Channels, kernel, stride, padding of each convolution, and whether a 3x3 max pool follows.
LAYERS = (
    (64, 11, 4, 2, True),
    (192, 5, 1, 2, True),
    (384, 3, 1, 1, False),
    (256, 3, 1, 1, False),
    (256, 3, 1, 1, True),
)
#: Of RGB in [0, 1], over ImageNet: what torchvision's weights were trained with.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class AlexNetFeatures(nn.Module):
    """AlexNet's convolutions."""

    #: The picture's statistics; constants, not part of the state dict.
    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(_MEAN)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(_DEVIATION)[:, None, None], persistent=False)
        layers: list[nn.Module] = []
        self.ends: list[int] = []  # of each convolution with its ReLU, in `features`
        before = 3
        for after, kernel, stride, padding, pooled in LAYERS:
            layers += [nn.Conv2d(before, after, kernel, stride, padding), nn.ReLU(inplace=True)]
            self.ends.append(len(layers))
            layers += [nn.MaxPool2d(3, 2)] if pooled else []
            before = after
        self.features = nn.Sequential(*layers)

    def stages(self, rgb: Tensor) -> list[Tensor]:
        """RGB (N, 3, H, W) in [0, 1], sides from 31 -> what the five convolutions give after their ReLU, (N, C, h, w)."""
        x, stages, begin = (rgb - self.mean) / self.deviation, list[Tensor](), 0
        for end in self.ends:
            x = self.features[begin:end](x)
            stages.append(x)
            begin = end
        return stages

    def forward(self, rgb: Tensor) -> Tensor:
        """RGB (N, 3, H, W) in [0, 1], sides from 63 -> the features after the last pool (N, 256, h, w)."""
        x: Tensor = self.features((rgb - self.mean) / self.deviation)
        return x

    def load_features(self, state: Mapping[str, Tensor]) -> None:
        """Takes this network's tensors out of a whole AlexNet's `state`. Raises KeyError where one is missing, RuntimeError where one has another shape."""
        self.load_state_dict({name: state[name] for name in self.state_dict()})


class AlexNet(AlexNetFeatures):
    """All of AlexNet, with `classes` outputs."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(6)
        self.classifier = nn.Sequential(
            nn.Dropout(),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, classes),
        )

    def forward(self, rgb: Tensor) -> Tensor:
        """RGB (N, 3, H, W) in [0, 1], sides from 63 (it was trained with 224) -> class logits (N, classes)."""
        logits: Tensor = self.classifier(self.pool(super().forward(rgb)).flatten(1))
        return logits
