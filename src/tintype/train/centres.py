"""The chroma classes of our own network, found in the pictures that it is to learn from."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tintype.train import losses
from tintype.train.cache import Pack
from tintype.train.crops import Rows


def centres(pack: Pack, rows: Rows, count: int, seed: int) -> Tensor:
    """`count` chroma classes (count, 2): k-means over the chroma histogram of the pictures `rows`, counts to the power 0.4 so that rare colours get classes too."""
    rng = np.random.default_rng(seed)
    some = rows[rng.choice(len(rows), min(3000, len(rows)), replace=False)]
    rgb = np.concatenate([pack.picture(int(i))[::4, ::4].reshape(-1, 3) for i in some]).astype(np.float32) / 255
    _, chroma = losses.split(torch.from_numpy(rgb).T[None, :, :, None])
    points = chroma[0, :, :, 0].T.numpy()
    histogram, xs, ys = np.histogram2d(points[:, 0], points[:, 1], bins=128, range=[[-0.5, 0.5]] * 2)
    x, y = np.nonzero(histogram)
    spots = torch.from_numpy(np.stack([(xs[x] + xs[x + 1]) / 2, (ys[y] + ys[y + 1]) / 2], 1)).float()
    weight = torch.from_numpy(histogram[x, y] ** 0.4).float()
    chance = histogram[x, y] ** 0.4
    means = spots[torch.from_numpy(rng.choice(len(spots), count, replace=False, p=chance / chance.sum()))]
    for _ in range(60):
        nearest = torch.cdist(spots, means).argmin(1)
        total = torch.zeros(count).index_add_(0, nearest, weight)
        means = torch.where(
            total[:, None] > 0,
            torch.zeros(count, 2).index_add_(0, nearest, spots * weight[:, None]) / total.clamp_min(1e-9)[:, None],
            means,
        )
    return means
