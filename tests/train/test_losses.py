"""Colours in the dark: what a teacher is shown of them."""

import torch

from tintype.train import losses


def test_pictures_are_as_they_were_at_a_power_of_one_and_show_more_in_the_dark_below_it():
    torch.manual_seed(0)
    rgb = torch.rand(3, 3, 8, 8).clamp_min(1 / 255)
    power = torch.tensor([1.0, 0.7, 0.4])
    light = losses.lightened(rgb, power)
    assert torch.equal(light[0], rgb[0])
    assert (light[1:] >= rgb[1:]).all() and light.max() <= 1
    dark = torch.tensor([0.02, 0.02, 0.04]).view(1, 3, 1, 1)  # a blue black
    seen = losses.lightened(dark, torch.tensor([0.4])).flatten()
    assert seen[2] - seen[0] > 3 * (dark.max() - dark.min())


def test_black_has_a_gradient_that_is_finite():
    rgb = torch.zeros(1, 3, 2, 2, requires_grad=True)
    losses.lightened(rgb, torch.tensor([0.4])).sum().backward()
    assert rgb.grad is not None and rgb.grad.isfinite().all()
