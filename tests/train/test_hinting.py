"""Hints for training: true where they are, nothing elsewhere."""

import numpy as np
import pytest
import torch

from tintype.nets.tint import CHROMA_SCALE
from tintype.train.hinting import hints_of


def test_hints_tell_the_true_colours_of_some_places():
    chroma = torch.rand(2, 2, 1, 1).expand(2, 2, 40, 48) - 0.5
    hints = hints_of(chroma, 1.0, np.random.default_rng(0))
    assert hints.shape == (2, 3, 40, 48)
    mask = hints[:, 2] == 1
    assert mask.any((1, 2)).all() and (hints[:, 2][~mask] == 0).all()
    assert torch.allclose((hints[:, :2] * CHROMA_SCALE)[:, 0][mask], chroma[:, 0][mask], atol=1e-6)
    assert (hints[:, :2].abs().sum(1)[~mask] == 0).all()


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_share_of_the_pictures_has_hints(share):
    hints = hints_of(torch.zeros(400, 2, 32, 32), share, np.random.default_rng(0))
    hinted = float((hints[:, 2].amax((1, 2)) > 0).float().mean())
    assert abs(hinted - share) < 0.08


def test_the_same_draws_give_the_same_hints():
    chroma = torch.rand(3, 2, 32, 32)
    a, b = (hints_of(chroma, 0.7, np.random.default_rng(5)) for _ in range(2))
    assert torch.equal(a, b)
