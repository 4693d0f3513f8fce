"""VGG16 (Simonyan, Zisserman 2015, configuration D): five blocks of 3x3 convolutions, three dense layers, 1000 ImageNet classes.

Module names are torchvision's (`features.N`, `classifier.N`), so that its weights load as they are: 138,357,544 parameters,
of which the blocks are 14,714,688. Whoever wants only features builds only those.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

#: Channels and number of convolutions of each block; a 2x2 max pool ends it.
BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
#: Of RGB in [0, 1], over ImageNet: what torchvision's weights were trained with.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Vgg16Features(nn.Module):
    """The first `blocks` (1 to 5) of VGG16's blocks. No dropout or batch normalization: `requires_grad_(False)` freezes them."""

    #: The picture's statistics; constants, not part of the state dict.
    mean: Tensor
    deviation: Tensor

    def __init__(self, blocks: int = len(BLOCKS)) -> None:
        """Raises ValueError for `blocks` outside 1 to 5."""
        super().__init__()
        if not 1 <= blocks <= len(BLOCKS):
            raise ValueError(f"blocks is {blocks}, but VGG16 has 1 to {len(BLOCKS)}")
        self.register_buffer("mean", torch.tensor(_MEAN)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(_DEVIATION)[:, None, None], persistent=False)
        layers: list[nn.Module] = []
        self.ends: list[int] = []  # of each block, in `features`
        before = 3
        for after, count in BLOCKS[:blocks]:
            for _ in range(count):
                layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(inplace=True)]
                before = after
            layers.append(nn.MaxPool2d(2))
            self.ends.append(len(layers))
        self.features = nn.Sequential(*layers)

    def features_up_to(self, rgb: Tensor, block: int) -> Tensor:
        """RGB (N, 3, H, W) or grey (N, 1, H, W) in [0, 1] -> the features (N, C, H / 2^block, W / 2^block) after that block's pool.

        `block` counts from 1; C is 64, 128, 256, 512, 512. Grey counts as three equal channels. Raises ValueError for a
        block that the network lacks.
        """
        if not 1 <= block <= len(self.ends):
            raise ValueError(f"block is {block}, but this network has 1 to {len(self.ends)}")
        x: Tensor = self.features[: self.ends[block - 1]]((rgb - self.mean) / self.deviation)
        return x

    def forward(self, rgb: Tensor) -> Tensor:
        """RGB (N, 3, H, W) or grey (N, 1, H, W) in [0, 1] -> the features after the last block."""
        return self.features_up_to(rgb, len(self.ends))

    def load_blocks(self, state: Mapping[str, Tensor]) -> None:
        """Takes this network's tensors out of a whole VGG16's `state`. Raises KeyError where one is missing, RuntimeError where one has another shape."""
        self.load_state_dict({name: state[name] for name in self.state_dict()})


class Vgg16(Vgg16Features):
    """All of VGG16, with `classes` outputs."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(4096, classes),
        )

    def forward(self, rgb: Tensor) -> Tensor:
        """RGB (N, 3, H, W) or grey (N, 1, H, W) in [0, 1], sides from 32 (it was trained with 224) -> class logits (N, classes)."""
        logits: Tensor = self.classifier(self.pool(super().forward(rgb)).flatten(1))
        return logits
