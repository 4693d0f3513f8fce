"""Muon and AdamW as one optimizer: who gets what, and that both learn and can be kept."""

import io

import pytest
import torch
from torch import nn

from tintype.train.muon import AdamWithMuon, orthogonal


def net():
    torch.manual_seed(0)
    made = nn.Sequential(nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 2, 1))
    for parameter in made.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return made


def groups(made):
    large, small = [p for p in made.parameters() if p.ndim > 1], [p for p in made.parameters() if p.ndim == 1]
    return [
        {"params": large, "weight_decay": 0.05},
        {"params": small, "weight_decay": 0.0},
        {"params": [nn.Parameter(torch.rand(16, 16))], "weight_decay": 0.0},
    ]


@pytest.mark.parametrize("shape", [(64, 576), (576, 64), (48, 48), (16, 16)])
def test_a_direction_has_the_matrix_singular_vectors_and_values_about_one(shape):
    left, values, right = torch.linalg.svd(torch.randn(*shape, generator=torch.Generator().manual_seed(0)), False)
    for scale in (1e-6, 1.0, 1e6):  # of a gradient, whatever its size
        found = orthogonal(scale * left @ values.diag() @ right)
        turned = left.T @ found @ right.T
        strong = values > 0.01 * values.norm()
        assert turned.diagonal()[strong].sub(1).abs().max() < 0.4
        assert (turned - turned.diagonal().diag()).abs().max() < 0.02
        assert turned.diagonal().abs().max() < 1.3


def test_a_direction_of_nothing_is_nothing():
    assert not orthogonal(torch.zeros(16, 32)).any()


def test_each_kernel_keeps_its_groups_decay():
    made = net()
    both = AdamWithMuon(groups(made), 0.01, (0.9, 0.98))
    assert [group["weight_decay"] for group in both.muon.param_groups] == [0.05, 0.0]
    assert [kernel.shape for kernel, _ in both.matrices] == [(32, 16, 3, 3), (16, 16)]
    assert sum(len(group["params"]) for group in both.adam.param_groups) == 5


def test_both_learn_and_go_on_from_what_was_kept():
    x, y = torch.rand(8, 16, 8, 8), torch.rand(8, 2, 8, 8)

    def steps(made, both, count):
        for _ in range(count):
            both.zero_grad()
            loss = (made(x) - y).square().mean()
            loss.backward()
            both.step()
        return float(loss.detach())

    one = net()
    first = AdamWithMuon(groups(one), 0.01, (0.9, 0.98))
    begin = steps(one, first, 1)
    kept, state = {k: v.clone() for k, v in one.state_dict().items()}, first.state_dict()
    kept_state = {"adam": _copied(state["adam"]), "muon": _copied(state["muon"])}
    end = steps(one, first, 40)
    assert end < 0.7 * begin

    other = net()
    second = AdamWithMuon(groups(other), 0.01, (0.9, 0.98))
    other.load_state_dict(kept)
    second.load_state_dict(kept_state)
    assert abs(steps(other, second, 40) - end) < 1e-3 * begin


def _copied(state):
    """As a checkpoint would have it."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)
