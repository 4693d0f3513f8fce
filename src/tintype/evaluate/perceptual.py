"""What networks say of pictures: Fréchet distances between sets of them, and distances between a result and its original.

Pictures are RGB (H, W, 3) uint8, sRGB. Figures of "fid-inception" and "lpips-..." are the published measures; those of
"features", Tintype's own small network, and of a file of somebody's are not, and compare only among themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from tintype import weights
from tintype.errors import ModelError, UsageError, suggestion
from tintype.evaluate.metrics import Measure
from tintype.nets import features as own
from tintype.nets import inception_fid, lpips, public
from tintype.train.crops import whole

RGB = NDArray[np.uint8]

#: What `features_of` and `distance_of` know; the first knows files, too.
NETWORKS, DISTANCES = ("features", "fid-inception"), ("features", "lpips-alex", "lpips-vgg")
#: Side in pixels of what a TorchScript file is given.
_SCRIPTED = 224
#: Pictures that a network sees at a time.
_BATCH = 16


@dataclass(frozen=True)
class Features:
    """A network that turns pictures into points. `seen` makes of a picture what the network wants, (3, H, W) in [0, 1]."""

    name: str
    title: str
    dimension: int
    seen: Callable[[RGB], Tensor]
    net: Callable[[Tensor], Tensor]

    def __call__(self, pictures: Sequence[RGB]) -> NDArray[np.float32]:
        """N pictures of any sizes -> their features (N, dimension)."""
        rows = [np.zeros((0, self.dimension), np.float32)]
        with torch.inference_mode():
            for at in range(0, len(pictures), _BATCH):
                seen = torch.stack([self.seen(rgb) for rgb in pictures[at : at + _BATCH]])
                rows.append(self.net(seen).float().numpy())
        return np.concatenate(rows)


def features_of(what: str) -> Features:
    """Tintype's own network ("features"), FID's ("fid-inception"), or a TorchScript file ending in .ts.

    Such a file maps RGB (N, 3, 224, 224) in [0, 1] to features (N, D). Raises ModelError where weights are missing or
    damaged, UsageError for anything else.
    """
    if what.endswith(".ts"):
        return _scripted(Path(what))
    if what == "fid-inception":
        fid = inception_fid.InceptionFid()
        fid.load_state_dict(_state(what))
        fid.requires_grad_(False).eval()
        return Features(what, "FID Inception", inception_fid.DIMENSION, _stretched, fid.features)
    if what == "features":
        net = own.load(weights.named(what))
        return Features(what, "tintype features", own.DIMENSION, lambda rgb: _squeezed(rgb, own.SIDE), net)
    raise UsageError(
        f"there is no feature network {what!r}; name a file that ends in .ts, or {suggestion(what, NETWORKS)}"
    )


def _scripted(path: Path) -> Features:
    """A TorchScript file. Its dimension is asked with a black picture."""
    if not path.is_file():
        raise ModelError(f"there is no file {path}")
    load: Any = torch.jit.load
    try:
        net = load(str(path), "cpu").eval()
        with torch.inference_mode():
            answer = net(torch.zeros(1, 3, _SCRIPTED, _SCRIPTED))
    except Exception as error:  # whatever a damaged file, or one for other inputs, makes of torch
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(f"{path}: is no TorchScript network of RGB at {_SCRIPTED} pixels: {lines[-1]}") from None
    if not isinstance(answer, Tensor) or answer.ndim != 2:
        raise ModelError(f"{path}: gives something else than features (N, D)")
    return Features(path.stem, path.name, answer.shape[1], lambda rgb: _squeezed(rgb, _SCRIPTED), net)


@dataclass(frozen=True)
class PairDistance:
    """How different a result looks from its original, by a network's features: 0 for equal, lower is better.

    `look`: RGB (1, 3, H, W) in [0, 1] -> features of several depths; `apart`: those of two pictures -> their distance (1,).
    """

    name: str
    title: str
    about: str
    look: Callable[[Tensor], list[Tensor]]
    apart: Callable[[Sequence[Tensor], Sequence[Tensor]], Tensor]

    def __call__(self, result: RGB, original: RGB) -> float:
        """Of two pictures of the same size, sides from 32. Raises ValueError where the sizes differ."""
        return self.to(original)(result)

    def to(self, original: RGB) -> Callable[[RGB], float]:
        """The distance of any result to this original, which is looked at once."""
        with torch.inference_mode():
            true = self.look(_planes(original)[None])

        def distance(result: RGB) -> float:
            if result.shape != original.shape:
                raise ValueError(f"pictures of {result.shape} and {original.shape}; expected the same size")
            with torch.inference_mode():
                return float(self.apart(self.look(_planes(result)[None]), true))

        return distance

    @property
    def measure(self) -> Measure:
        """The same as a column of a report."""
        return Measure(
            f"distance {self.name}",
            self.title,
            "",
            "lower",
            self.about,
            lambda result, original: self(result.rgb, original.rgb),
            needs_colour=False,
        )


def distance_of(what: str) -> PairDistance:
    """LPIPS 0.1 ("lpips-alex", "lpips-vgg"), or the same idea on Tintype's own network without learned weights ("features").

    Raises ModelError where weights are missing or damaged, UsageError for anything else.
    """
    if what == "features":
        net = own.load(weights.named(what))
        about = "tintype features distance: LPIPS's idea on Tintype's own network, not LPIPS"
        return PairDistance(what, "tintype distance", about, net.stages, _unweighed)
    if what == "lpips-alex":
        alex = lpips.lpips_alex(_state("alexnet"), _state(what))
        return PairDistance(what, "LPIPS alex", "LPIPS 0.1 on AlexNet (Zhang et al. 2018)", alex.look, alex.apart)
    if what == "lpips-vgg":
        vgg = lpips.lpips_vgg(_state("vgg16"), _state(what))
        return PairDistance(what, "LPIPS vgg", "LPIPS 0.1 on VGG16 (Zhang et al. 2018)", vgg.look, vgg.apart)
    raise UsageError(f"there is no perceptual distance {what!r}; {suggestion(what, DISTANCES)}")


@dataclass
class Gaussian:
    """Mean and covariance of features that come bit by bit, in float64 (Chan, Golub, LeVeque 1983, equation 2.1)."""

    dimension: int
    count: int = 0
    mean: NDArray[np.float64] = field(init=False)  #: (D,)
    scatter: NDArray[np.float64] = field(init=False)  #: (D, D), sum of the products of deviations from the mean

    def __post_init__(self) -> None:
        self.mean = np.zeros(self.dimension)
        self.scatter = np.zeros((self.dimension, self.dimension))

    def update(self, features: NDArray[np.floating]) -> None:
        """Count features (N, D); none is allowed."""
        if len(features):
            x = features.astype(np.float64)
            mean = x.mean(0)
            self._join(len(x), mean, (x - mean).T @ (x - mean))

    def merge(self, other: Gaussian) -> None:
        """Count what `other` has counted."""
        if other.count:
            self._join(other.count, other.mean, other.scatter)

    def _join(self, count: int, mean: NDArray[np.float64], scatter: NDArray[np.float64]) -> None:
        total, shift = self.count + count, mean - self.mean
        self.scatter = self.scatter + scatter + np.outer(shift, shift) * (self.count * count / total)
        self.mean = self.mean + shift * (count / total)
        self.count = total

    @property
    def covariance(self) -> NDArray[np.float64]:
        """(D, D), unbiased. Raises ValueError for fewer than two pictures."""
        if self.count < 2:
            raise ValueError(f"a covariance needs two pictures, and there are {self.count}")
        return self.scatter / (self.count - 1)


def frechet(a: Gaussian, b: Gaussian) -> float:
    """Squared Fréchet distance of two Gaussians (Heusel et al. 2017, equation 6): 0 for equal ones, lower is more alike.

    It is biased: samples of one and the same distribution are the further apart the smaller they are, most so with fewer
    pictures than dimensions (Binkowski et al. 2018). So only distances of samples of one size compare.
    """
    one, other = a.covariance, b.covariance
    # The product of the covariances is not symmetric, and has no stable root where ranks lack; the trace of its root is the
    # sum of the singular values of the product of their own roots.
    shared = np.linalg.svd(_root(one).T @ _root(other), compute_uv=False).sum()
    apart = np.sum((a.mean - b.mean) ** 2) + np.trace(one) + np.trace(other) - 2 * shared
    return max(0.0, float(apart))


def _root(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """R (D, K) with R R^T the covariance (D, D), of rank K: what is nothing but rounding is left out."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > values[-1] * len(values) * np.finfo(np.float64).eps
    root: NDArray[np.float64] = vectors[:, kept] * np.sqrt(values[kept])
    return root


def _unweighed(a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
    """Distances (N,): every depth and channel counts the same."""
    return lpips.differences(a, b).sum((1, 2, 3))


def _state(name: str) -> dict[str, Tensor]:
    """The tensors of a card's verified file, held against the network that they are for."""
    path = weights.named(name)
    public.check(name, path)
    return dict(public.read(path))


def _planes(rgb: RGB) -> Tensor:
    """(3, H, W) in [0, 1]."""
    return torch.from_numpy(np.array(rgb)).permute(2, 0, 1).float() / 255


def _squeezed(rgb: RGB, side: int) -> Tensor:
    """The whole picture at `side` x `side` pixels, each the mean of what it covers."""
    return _planes(whole(rgb, side))


def _stretched(rgb: RGB) -> Tensor:
    """The whole picture at FID's size as pytorch-fid resizes it: between the nearest pixels only, whatever the scale."""
    side = inception_fid.SIDE
    return F.interpolate(_planes(rgb)[None], (side, side), mode="bilinear", align_corners=False)[0]
