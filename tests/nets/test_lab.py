"""CIELAB in torch is scikit-image's."""

import numpy as np
import torch
from skimage import data as photographs
from skimage.color import rgb2lab

from tintype.nets import lab


def picture() -> torch.Tensor:
    """A photograph (1, 3, H, W) in [0, 1]."""
    return torch.from_numpy(photographs.astronaut()[::4, ::4].astype(np.float32) / 255).permute(2, 0, 1)[None]


def test_lab_is_scikit_images():
    rgb = picture()
    expected = rgb2lab(rgb[0].permute(1, 2, 0).numpy())
    assert np.abs(lab.rgb_to_lab(rgb)[0].permute(1, 2, 0).numpy() - expected).max() < 0.05
    grey = rgb.mean(1, keepdim=True)
    assert (
        np.abs(
            lab.lightness(grey)[0, 0].numpy() - rgb2lab(np.repeat(grey[0, 0].numpy()[..., None], 3, 2))[..., 0]
        ).max()
        < 0.05
    )


def test_there_and_back():
    rgb = picture()
    assert (lab.lab_to_rgb(lab.rgb_to_lab(rgb)) - rgb).abs().max() < 1e-3


def test_no_ab_is_no_chroma_and_more_ab_is_more():
    luma = torch.rand(1, 1, 8, 8) * 0.6 + 0.2
    assert lab.ab_to_chroma(luma, torch.zeros(1, 2, 8, 8)).abs().max() < 1e-3
    small, large = (lab.ab_to_chroma(luma, torch.full((1, 2, 8, 8), size)).norm(dim=1) for size in (5.0, 10.0))
    assert (large > 1.5 * small).all()


def test_gradients_are_finite_everywhere():
    values = torch.tensor([0.0, 1e-6, 0.04045, 0.5, 1.0]).view(1, 1, 1, 5).expand(1, 3, 1, 5).clone().requires_grad_()
    lab.lab_to_rgb(lab.rgb_to_lab(values) + torch.tensor([0.0, 150.0, -150.0]).view(1, 3, 1, 1)).sum().backward()
    assert torch.isfinite(values.grad).all()
