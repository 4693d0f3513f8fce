"""A classifier's view of whole pictures (R6, R9): computed once, kept by the pictures' content."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from tintype.nets import public
from tintype.nets.inception_resnet_v2 import InceptionResnetV2
from tintype.train.cache import Pack
from tintype.train.crops import luma_of, whole

#: The side that the classifier sees, in pixels.
SIDE = 299
_BATCH = 16


class Seeing(nn.Module):
    """A network that wants a view, with the classifier that has it: from luma alone to the network's output."""

    def __init__(self, net: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.net, self.classifier = net, classifier
        self.multiple, self.stride, self.fixed, self.output = net.multiple, net.stride, net.fixed, net.output

    def forward(self, luma: Tensor) -> Tensor:
        """Luma (N, 1, H, W) in [0, 1] -> what the network gives."""
        out: Tensor = self.net(luma, view_of(self.classifier, luma))
        return out


def view_of(classifier: nn.Module, luma: Tensor) -> Tensor:
    """The classifier's outputs (N, K) for luma (N, 1, H, W), squeezed to 299 x 299, as three equal channels."""
    seen = F.interpolate(luma, (SIDE, SIDE), mode="bilinear", antialias=luma.shape[2] > SIDE)
    out: Tensor = classifier(seen.expand(-1, 3, -1, -1))
    return out


def load_classifier(path: Path) -> InceptionResnetV2:
    """Inception-ResNet-v2 with the weights of a state dict in the file `path`."""
    classifier = InceptionResnetV2()
    classifier.load_state_dict(public.read(path))
    return classifier.requires_grad_(False).eval()


def views(pack: Pack, classifier: nn.Module, weights: str, folder: Path, device: str = "cpu") -> NDArray[np.float32]:
    """The view (N, K) of every picture of a pack, from `folder` where it is known: by the picture's content and the classifier's `weights` (a hash)."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"views-{weights[:16]}.npz"
    known: dict[str, NDArray[np.float32]] = {}
    if path.exists():
        table = np.load(path)
        known = dict(zip(table["keys"].tolist(), table["views"], strict=True))
    keys = [hashlib.sha256(pack.picture(i).tobytes()).hexdigest()[:32] for i in range(len(pack))]
    missing = [i for i in range(len(pack)) if keys[i] not in known]
    classifier = classifier.to(device).eval()
    with torch.inference_mode():
        for at in range(0, len(missing), _BATCH):
            part = missing[at : at + _BATCH]
            luma = torch.from_numpy(np.stack([luma_of(whole(pack.picture(i), SIDE)) for i in part])[:, None])
            for i, view in zip(part, view_of(classifier, luma.to(device)).cpu().numpy(), strict=True):
                known[keys[i]] = view
    if missing:
        part_path = path.with_suffix(".part.npz")
        np.savez(part_path, keys=np.array(list(known)), views=np.stack(list(known.values())))
        part_path.replace(path)
    return np.stack([known[k] for k in keys])
