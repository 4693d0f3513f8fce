"""A classifier's view of whole pictures (R6, R9): computed once, kept by the pictures' content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
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
#: Pictures that it sees at a time, and whose views one file holds.
_BATCH, _FILE = 16, 1024


class Seeing(nn.Module):
    """A network that wants a view, with the classifier that has it, at `side` x `side` pixels: from luma alone to the network's output."""

    def __init__(self, net: nn.Module, classifier: nn.Module, side: int = SIDE) -> None:
        super().__init__()
        self.net, self.classifier, self.side = net, classifier, side
        self.multiple, self.stride, self.fixed, self.output = net.multiple, net.stride, net.fixed, net.output

    def forward(self, luma: Tensor) -> Tensor:
        """Luma (N, 1, H, W) in [0, 1] -> what the network gives."""
        out: Tensor = self.net(luma, view_of(self.classifier, luma, self.side))
        return out


def view_of(classifier: nn.Module, luma: Tensor, side: int = SIDE) -> Tensor:
    """The classifier's outputs (N, K) for luma (N, 1, H, W), squeezed to `side` x `side`, as three equal channels."""
    seen = F.interpolate(luma, (side, side), mode="bilinear", antialias=True)
    out: Tensor = classifier(seen.expand(-1, 3, -1, -1))
    return out


def load_classifier(path: Path) -> InceptionResnetV2:
    """Inception-ResNet-v2 with the weights of a state dict in the file `path`. Raises ModelError for another's."""
    public.check("inception-resnet-v2", path)
    classifier = InceptionResnetV2()
    classifier.load_state_dict(public.read(path))
    return classifier.requires_grad_(False).eval()


def views(pack: Pack, classifier: nn.Module, weights: str, folder: Path, device: str = "cpu") -> NDArray[np.float32]:
    """The view (N, K) of every picture of a pack, from `folder` where it is known: by the picture's content and the classifier's `weights` (a hash).

    What is new is kept there, file by file, so that not all is lost where this is stopped.
    """
    home = folder / f"views-{weights[:16]}"
    home.mkdir(parents=True, exist_ok=True)
    known: dict[str, NDArray[np.float32]] = {}
    for path in sorted(home.glob("*.npz")):
        table = np.load(path)
        known |= dict(zip(table["keys"].tolist(), table["views"], strict=True))
    keys = [hashlib.sha256(pack.picture(i).tobytes()).hexdigest()[:32] for i in range(len(pack))]
    missing = [i for i in range(len(pack)) if keys[i] not in known]
    classifier = classifier.to(device).eval()
    with torch.inference_mode():
        for rows in _batched(missing, _FILE):
            new: dict[str, NDArray[np.float32]] = {}
            for part in _batched(rows, _BATCH):
                luma = torch.from_numpy(np.stack([luma_of(whole(pack.picture(i), SIDE)) for i in part])[:, None])
                told = view_of(classifier, luma.to(device)).cpu().numpy()
                new |= {keys[i]: view for i, view in zip(part, told, strict=True)}
            unfinished = home / "unfinished"
            with unfinished.open("wb") as file:
                np.savez(file, keys=np.array(list(new)), views=np.stack(list(new.values())))
            unfinished.replace(home / f"{keys[rows[0]]}.npz")
            known |= new
    return np.stack([known[k] for k in keys])


def _batched(rows: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """`rows` in parts of at most `size`."""
    return (rows[at : at + size] for at in range(0, len(rows), size))
