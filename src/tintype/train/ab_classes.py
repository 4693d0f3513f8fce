"""The 313 colour classes in torch, for training, and how rare each is in a data set.

What `methods.ab_classes` does in numpy along the last axis, this does along axis 1 of (N, ., h, w); they agree. ab is CIELAB's,
D65, in its usual units.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tintype.cielab import CLASSES
from tintype.methods import ab_classes
from tintype.methods.ab_classes import NEIGHBOURS, SIGMA, TIE
from tintype.methods.method import Decode

Prior = NDArray[np.float64]


def centres(device: torch.device | None = None) -> Tensor:
    """The classes' ab (313, 2) float32; see methods.ab_classes.centres."""
    return torch.tensor(ab_classes.centres(), device=device)


def soften(ab: Tensor) -> tuple[Tensor, Tensor]:
    """Soft encoding of finite ab (N, 2, h, w): the 5 nearest classes (N, 5, h, w) int64, nearest first, and their weights, float32.

    Exactly methods.ab_classes.soften. Needs 2.5 kB per colour while it runs; no gradient goes through it.
    """
    with torch.no_grad():
        points = centres(ab.device).double()
        # In double: a float's last digits could order two classes differently here and in numpy.
        a, b = (channel[..., None] for channel in ab.double().unbind(1))
        squares = (a - points[:, 0]) ** 2 + (b - points[:, 1]) ** 2 + TIE * torch.arange(CLASSES, device=ab.device)
        squares, classes = squares.topk(NEIGHBOURS, dim=-1, largest=False, sorted=True)
        weights = torch.softmax(-squares / (2 * SIGMA**2), -1).float()
        return classes.movedim(-1, 1), weights.movedim(-1, 1)


def dense(classes: Tensor, weights: Tensor) -> Tensor:
    """`soften`'s answer as full distributions (N, 313, h, w)."""
    n, _, h, w = classes.shape
    return weights.new_zeros(n, CLASSES, h, w).scatter_(1, classes, weights)


def nearest(ab: Tensor) -> Tensor:
    """Hard encoding of finite ab (N, 2, h, w): the nearest class (N, h, w) int64; of equally near ones the lowest."""
    return soften(ab)[0][:, 0]


def decode(
    logits: Tensor, how: Decode = "annealed", temperature: float = 0.0, generator: torch.Generator | None = None
) -> Tensor:
    """Logits (N, 313, h, w) -> ab (N, 2, h, w) float32; decodes and errors are methods.ab_classes.decode's.

    `generator`, for `sample`, lives on the logits' device. Its draws are others than numpy's, from the same distribution.
    """
    heat = ab_classes.temperature_of(how, temperature)
    points = centres(logits.device)
    if how == "mode":
        return points[logits.argmax(1)].movedim(-1, 1)
    logits = logits.float()
    p = torch.softmax((logits - logits.amax(1, keepdim=True)) / heat, 1)
    if how != "sample":
        # No matrix product: autocast would do it in half precision.
        return torch.stack([(p * channel[:, None, None]).sum(1) for channel in points.unbind(1)], 1)
    if generator is None:
        raise ValueError("decode is 'sample'; expected a generator to draw with")
    n, _, h, w = p.shape
    uniform = torch.rand(n, h, w, generator=generator, dtype=torch.float64, device=p.device)
    return points[pick(p, uniform)].movedim(-1, 1)


def pick(p: Tensor, uniform: Tensor) -> Tensor:
    """The class (N, h, w) that a number of [0, 1) `uniform` (N, h, w), double, picks from distributions p (N, 313, h, w)."""
    sums = p.double().cumsum(1)
    return (sums <= uniform[:, None] * sums[:, -1:]).sum(1).clamp_max(CLASSES - 1)


def prior(pictures: Iterable[NDArray[Any]]) -> Prior:
    """The share (313,) of each class among all colours of `pictures`, arrays of ab (..., 2) of any sizes; sums to 1.

    Pictures are taken one by one, so that a data set needs no memory; each colour counts for its nearest class. Raises
    ValueError where there is no colour at all, a last axis is not 2, or a number is not finite.
    """
    counts = np.zeros(CLASSES, np.int64)
    for number, ab in enumerate(pictures):
        if ab.ndim == 0 or ab.shape[-1] != 2:
            raise ValueError(f"picture {number} has shape {ab.shape}; expected (..., 2)")
        if not np.isfinite(ab).all():
            raise ValueError(f"picture {number} has colours that are not finite")
        counts += np.bincount(ab_classes.nearest(ab).ravel(), minlength=CLASSES)
    if not counts.any():
        raise ValueError("there are no colours to count; expected at least one picture with a pixel")
    shares: Prior = counts / counts.sum()
    return shares


def smooth(p: Prior) -> Prior:
    """A distribution p (313,) blurred over the ab plane, for classes that a data set happens to lack; its sum stays.

    Each class gives its share to all classes, in proportion to a Gaussian of sigma 5 of their distance (section 2.2).
    """
    points = ab_classes.centres().astype(np.float64)
    kernel = np.exp(-((points[:, None] - points) ** 2).sum(-1) / (2 * SIGMA**2))
    smoothed: Prior = kernel / kernel.sum(0) @ p
    return smoothed


def rebalance(p: Prior, mix: float = 0.5) -> Prior:
    """How much a pixel of each class counts (313,), given the classes' smoothed shares p: rare colours count more.

    w = ((1 - mix) p + mix / 313)^-1, scaled so that sum p w = 1 (Zhang, Isola, Efros 2016, equation 4, mix their lambda):
    1 counts all alike, 0 makes up for rarity altogether. Raises ValueError for a p that is no distribution over the classes, a
    mix outside [0, 1], or a mix of 0 where a class has no share.
    """
    if p.shape != (CLASSES,) or not (p >= 0).all() or abs(p.sum() - 1) > 1e-6:
        raise ValueError(f"p is no distribution over {CLASSES} classes: shape {p.shape}, sum {p.sum():.6g}")
    if not 0 <= mix <= 1:
        raise ValueError(f"mix is {mix}; expected 0 to 1")
    mixed = (1 - mix) * p + mix / CLASSES
    if not mixed.all():
        raise ValueError("with a mix of 0 every class needs a share of p; smooth it first, or choose a larger mix")
    weights: Prior = 1 / mixed
    weights /= (p * weights).sum()
    return weights
