"""A critic learns which of two colourings is a photograph's, by patches and by what a teacher sees; and tells a network the way."""

import numpy as np
import pytest
import torch
from skimage import data as photographs
from skimage.transform import resize
from torch.nn import functional as F

from tintype.train import losses
from tintype.train.critic import Critic, fooled, mistaken


@pytest.fixture(scope="module")
def pictures():
    """Luma (8, 1, 64, 64) and chroma (8, 2, 64, 64) of crops of photographs."""
    crops = []
    for name in ("astronaut", "coffee", "chelsea", "rocket"):
        rgb = getattr(photographs, name)()[:256]
        crops += [resize(rgb[:, x : x + 256], (64, 64)) for x in (0, 150)]
    return losses.split(torch.tensor(np.stack(crops), dtype=torch.float32).permute(0, 3, 1, 2))


def maps(luma, chroma):
    """What a teacher might see: the colours, at two sizes."""
    rgb = losses.coloured(luma, chroma)
    return [F.avg_pool2d(rgb, 4), F.avg_pool2d(rgb, 16)]


@pytest.mark.parametrize("helped", [False, True], ids=["by patches alone", "with a teacher"])
def test_it_learns_to_tell_and_the_network_learns_from_it(pictures, helped):
    torch.manual_seed(0)
    luma, true = pictures
    critic = Critic((3, 3) if helped else (), width=16)

    def verdicts(chroma):
        return critic(luma, chroma, maps(luma, chroma) if helped else [])

    assert len(verdicts(true)) == (3 if helped else 1)
    grey = torch.zeros_like(true, requires_grad=True)
    optimizer = torch.optim.Adam(critic.parameters(), 0.003, (0.0, 0.9))
    begun = mistaken(verdicts(true), verdicts(grey.detach()))
    assert 1.5 < begun < 2.5, "one that can't tell"
    for _ in range(60):
        optimizer.zero_grad()
        told = mistaken(verdicts(true), verdicts(grey.detach()))
        told.backward()
        optimizer.step()
    assert told < 0.6 * begun
    fooled(verdicts(grey)).backward()
    with torch.no_grad():
        step = grey - 0.02 * grey.grad / grey.grad.abs().max()
        assert fooled(verdicts(step)) < fooled(verdicts(grey))
