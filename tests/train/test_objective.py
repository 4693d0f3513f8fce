"""What a teacher is shown: the trunk's sees the photograph, the vivid head's two colourings of it, lightened alike."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from skimage import data
from torch import nn
from torch.nn import functional as F

from tintype.train import losses
from tintype.train.lesson import Lesson
from tintype.train.objective import Objective
from tintype.train.recipe import Config, build_net

TINY = {"classes": 8, "topics": False, "widths": (8, 8, 16, 16, 32), "depths": (1, 1, 1, 1), "up_depths": (1, 1, 1), "attention": (1, 0), "queries": 0}  # fmt: skip


class Witness(nn.Module):
    """A teacher that keeps what it was shown."""

    def __init__(self):
        super().__init__()
        self.shown = []

    def forward(self, rgb):
        self.shown.append(rgb.detach())
        return F.avg_pool2d(rgb, 32)


def powers(before, after):
    """The power that each picture of `before` (N, 3, H, W) was raised to, by its pixels that are neither black nor white."""
    pairs = ((x[(x > 0.1) & (x < 0.9)], y[(x > 0.1) & (x < 0.9)]) for x, y in zip(before, after, strict=True))
    return torch.stack([(y.log() / x.log()).median() for x, y in pairs])


@pytest.fixture
def config():
    return replace(Config.read(Path(__file__).parents[2] / "configs/tint.yaml"), **TINY)


def test_only_what_the_vivid_head_is_compared_by_is_lightened(config):
    torch.manual_seed(0)
    whole = torch.from_numpy(data.astronaut()).permute(2, 0, 1)
    rgb = torch.stack([whole[:, at : at + 128, at : at + 128] for at in (0, 100, 200, 300)])
    luma, _ = losses.split(rgb.float() / 255)
    batch = {"luma": luma, "rgb": rgb, "topic": torch.zeros(4, dtype=torch.int64)}
    net, witness = build_net(config, torch.randn(8, 2) * 0.05, 0), Witness()
    lesson, lookup = Lesson(witness, 32), losses.class_lookup(net.get_buffer("centres"))

    def shown(lighten):
        witness.shown.clear()
        objective = Objective(replace(config, lighten=lighten), net, lesson, None, None, lookup, "cpu")
        cost = objective.cost(batch, 0)
        assert cost.total.isfinite() and {"teacher", "features", "whole"} <= set(cost.parts)
        return witness.shown[:]

    trunk, true, made = shown(0.4)
    _, true_as_it_is, made_as_it_is = shown(1.0)
    assert torch.equal(trunk, rgb.float() / 255)
    assert (true >= true_as_it_is - 1e-6).all() and (made >= made_as_it_is - 1e-6).all()
    power, of_made = powers(true_as_it_is, true), powers(made_as_it_is, made)
    assert torch.allclose(power, of_made, atol=0.02), "its own colours and the original's alike"
    assert 0.38 < power.min() < power.max() < 1 and len(set(power.tolist())) == 4, "each picture to a power of its own"


@pytest.mark.parametrize("power", [0.0, -0.5, 1.5])
def test_a_power_that_does_not_lighten_is_refused(config, power):
    with pytest.raises(ValueError, match="lighten"):
        replace(config, lighten=power)
