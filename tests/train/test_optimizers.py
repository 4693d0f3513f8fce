"""Optimizers take what the config says; learning rates go as it says."""

import itertools

import pytest
import torch
from torch import nn

from tintype.train import optimizers
from tintype.train.config import Optimizer, Schedule

PEAK = 0.1


def rates(how, steps=100, name="sgd"):
    """The learning rate of each step, and the one after the last."""
    made = optimizers.optimizer(nn.Linear(2, 2), Optimizer(name=name, learning_rate=PEAK))
    plan = optimizers.by_step(made, how, steps)
    found = []
    for _ in range(steps + 1):
        found.append(made.param_groups[0]["lr"])
        made.step()
        plan.step() if len(found) <= steps else None
    return found


@pytest.mark.parametrize("name", ["adam", "adamw", "nadam", "rmsprop", "sgd"])
def test_every_optimizer_takes_its_values_and_makes_a_loss_smaller(name):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    net[0].weight.requires_grad_(False)
    how = Optimizer(name=name, learning_rate=0.01, betas=(0.8, 0.9), epsilon=1e-6, decay=0.7, momentum=0.5, weight_decay=0.3)  # fmt: skip
    made = optimizers.optimizer(net, how)
    assert type(made).__name__.lower() == name
    kernels, rest = made.param_groups
    assert [p.shape for p in kernels["params"]] == [(1, 4)], "what is frozen is left out"
    assert all(p.ndim == 1 for p in rest["params"]) and len(rest["params"]) == 4
    assert (kernels["weight_decay"], rest["weight_decay"]) == (0.3, 0.0)
    said = {"lr": 0.01, "betas": (0.8, 0.9), "eps": 1e-6, "alpha": 0.7, "momentum": 0.5}
    for key, value in said.items():
        assert kernels.get(key, value) == value
    x, frozen = torch.randn(64, 3), net[0].weight.clone()
    losses = []
    for _ in range(30):
        made.zero_grad()
        loss = (net(x) - x.sum(1, keepdim=True)).square().mean()
        loss.backward()
        made.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] and torch.equal(net[0].weight, frozen)


def test_a_network_of_one_kind_of_parameters_has_one_group():
    assert len(optimizers.optimizer(nn.Linear(2, 2, bias=False), Optimizer()).param_groups) == 1


def test_constant_only_warms_up():
    assert rates(Schedule()) == [PEAK] * 101
    found = rates(Schedule(warm_up=10))
    assert found[:10] == pytest.approx([PEAK * (k + 1) / 10 for k in range(10)])
    assert found[10:] == [PEAK] * 91


@pytest.mark.parametrize("floor", [0.0, 0.1])
def test_cosine_rises_and_falls_to_its_floor(floor):
    found = rates(Schedule("cosine", warm_up=20, floor=floor))
    assert found[0] == pytest.approx(PEAK / 20) and found[20] == pytest.approx(PEAK)
    assert found[60] == pytest.approx(PEAK * (floor + (1 - floor) / 2)), "half way down in the middle"
    assert found[-1] == pytest.approx(PEAK * floor)
    assert all(a >= b for a, b in itertools.pairwise(found[20:]))


@pytest.mark.parametrize(("warm_up", "top"), [(0, 30), (50, 50)])
@pytest.mark.parametrize("floor", [0.0, 0.1])
def test_one_cycle_ends_at_its_floor_times_the_peak(warm_up, top, floor):
    found = rates(Schedule("one-cycle", warm_up=warm_up, floor=floor), name="adam")
    assert found[0] == pytest.approx(PEAK / 25)
    assert max(found) == pytest.approx(PEAK) and abs(found.index(max(found)) - top) <= 1
    assert found[-1] == pytest.approx(PEAK * floor, abs=1e-12)


def test_one_cycle_leaves_momentum_alone():
    made = optimizers.optimizer(nn.Linear(2, 2), Optimizer(name="adam", betas=(0.5, 0.9)))
    plan = optimizers.by_step(made, Schedule("one-cycle"), 10)
    made.step()
    plan.step()
    assert made.param_groups[0]["betas"] == (0.5, 0.9)


def test_a_plateau_lowers_the_rate_after_its_patience_and_not_below_its_floor():
    made = optimizers.optimizer(nn.Linear(2, 2), Optimizer(learning_rate=PEAK))
    plan = optimizers.on_plateau(made, Schedule("plateau", factor=0.1, patience=3, floor=0.004))
    found = []
    for loss in (1.0, 0.9, 0.9, 0.9, 0.9, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8):
        plan.step(loss)
        found.append(made.param_groups[0]["lr"])
    assert found == pytest.approx([0.1] * 4 + [0.01] * 4 + [0.004] * 4)


def test_a_plateau_has_no_warm_up():
    with pytest.raises(ValueError, match="no warm_up"):
        Schedule("plateau", warm_up=10)
