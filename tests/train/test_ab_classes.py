"""The colour classes in torch are those in numpy; how rare they are in a data set."""

import math

import numpy as np
import pytest
import torch
from skimage import data
from skimage.color import rgb2lab

from tintype.methods import ab_classes as numpys
from tintype.train import ab_classes as torchs


def colours():
    """ab (1, 2, 60, 80), channels first: random in and far outside the gamut, and where two or four classes are equally near."""
    rng = np.random.default_rng(0)
    ties = np.stack(np.meshgrid(np.arange(-130, 130, 5), np.arange(-130, 130, 5)), -1).reshape(-1, 2)
    rest = 4800 - len(ties)
    ab = np.concatenate([ties, rgb2lab(rng.random((rest // 2, 3)))[:, 1:], rng.uniform(-400, 400, (rest // 2, 2))])
    return ab.astype(np.float32).T.reshape(1, 2, 60, 80)


def test_encodings_are_numpys():
    ab = colours()
    numbers, weights = torchs.soften(torch.from_numpy(ab))
    expected_numbers, expected_weights = numpys.soften(np.moveaxis(ab, 1, -1))
    assert numbers.shape == weights.shape == (1, 5, 60, 80) and weights.dtype == torch.float32
    assert np.array_equal(numbers.movedim(1, -1).numpy(), expected_numbers)
    assert np.abs(weights.movedim(1, -1).numpy() - expected_weights).max() < 1e-6
    full = torchs.dense(numbers, weights).movedim(1, -1).numpy()
    assert np.abs(full - numpys.dense(expected_numbers, expected_weights)).max() < 1e-6
    assert np.array_equal(torchs.nearest(torch.from_numpy(ab)).numpy(), numpys.nearest(np.moveaxis(ab, 1, -1)))
    assert np.array_equal(torchs.centres().numpy(), numpys.centres())


@pytest.mark.parametrize(("how", "temperature"), [("mode", 0), ("mean", 0), ("annealed", 0), ("annealed", 0.05), ("annealed", 3)])  # fmt: skip
def test_decodes_are_numpys(how, temperature):
    logits = np.random.default_rng(0).normal(0, 4, (2, 313, 6, 8)).astype(np.float32)
    logits[0, 5:] = -np.inf
    got = torchs.decode(torch.from_numpy(logits), how, temperature)
    assert got.shape == (2, 2, 6, 8)
    expected = numpys.decode(np.moveaxis(logits, 1, -1), how, temperature)
    assert np.abs(got.movedim(1, -1).numpy() - expected).max() < 1e-3


def test_decodes_stay_precise_under_autocast():
    logits = torch.randn(1, 313, 4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        got = torchs.decode(logits)
    assert torch.allclose(got, torchs.decode(logits), atol=1e-4)


def test_samples_pick_as_numpy_picks_and_follow_the_generator():
    logits = torch.from_numpy(np.random.default_rng(0).normal(0, 3, (2, 313, 20, 30)).astype(np.float32))
    p, uniform = torch.softmax(logits, 1), torch.rand(2, 20, 30, dtype=torch.float64, generator=torch.manual_seed(1))
    picked = torchs.pick(p, uniform)
    assert np.array_equal(picked.numpy(), numpys.pick(p.movedim(1, -1).numpy(), uniform.numpy()))

    def draw(seed):
        return torchs.decode(logits, "sample", generator=torch.Generator().manual_seed(seed))

    first = draw(1)
    assert torch.equal(first, draw(1)) and not torch.equal(first, draw(2))
    with pytest.raises(ValueError, match="generator"):
        torchs.decode(logits, "sample")
    with pytest.raises(ValueError, match="expected mode, mean"):
        torchs.decode(logits, "best")


def test_there_and_back():
    ab = torch.from_numpy(rgb2lab(np.random.default_rng(2).random((50, 100, 3)))[None, :, :, 1:]).movedim(-1, 1).float()
    back = torchs.decode(torchs.dense(*torchs.soften(ab)).log(), "mean")
    assert (back - ab).norm(dim=1).max() < 0.75


def test_the_prior_counts_each_colour_for_its_nearest_class_whatever_the_sizes():
    red, blue = np.array([80.0, 67]), np.array([79.0, -108])
    p = torchs.prior(iter([np.stack([red, red, blue])[None], red, np.zeros((0, 2)), np.zeros((2, 2, 2))]))
    counted = {tuple(numpys.centres()[k].tolist()): p[k] for k in p.nonzero()[0]}
    assert counted == pytest.approx({(80, 70): 3 / 8, (80, -110): 1 / 8, (0, 0): 4 / 8})


@pytest.mark.parametrize(
    ("pictures", "words"),
    [([], "no colours"), ([np.zeros((0, 2))], "no colours"), ([np.zeros((4, 4, 3))], r"picture 0 .*\(4, 4, 3\)"), ([np.zeros(2), np.full(2, np.nan)], "picture 1 .*finite")],
)  # fmt: skip
def test_a_prior_of_nothing_or_nonsense_is_refused(pictures, words):
    with pytest.raises(ValueError, match=words):
        torchs.prior(pictures)


def test_smoothing_spreads_over_the_ab_plane_and_keeps_the_sum():
    p = np.zeros(313)
    p[numpys.nearest(np.zeros(2))] = 1
    smoothed = torchs.smooth(p)
    assert smoothed.sum() == pytest.approx(1)

    def at(a, b):
        return smoothed[numpys.nearest(np.array([a, b]))] / smoothed[numpys.nearest(np.zeros(2))]

    assert at(10, 0) == at(0, -10) == pytest.approx(math.exp(-2))
    assert at(10, 10) == pytest.approx(math.exp(-4))
    # At the rim too, where a class has fewer neighbours to give to.
    rim = np.eye(313)[0]
    assert torchs.smooth(rim).sum() == pytest.approx(1)
    assert (torchs.smooth(np.full(313, 1 / 313)) > 0).all()


def test_weights_by_hand():
    # Half of all pixels in class 7, the rest alike: mixed shares 0.25 + 0.5 / 313 = 0.251597 and 0.25 / 312 + 0.5 / 313 = 0.00239873.
    p = np.full(313, 0.5 / 312)
    p[7] = 0.5
    w = torchs.rebalance(p)
    assert w[0] / w[7] == pytest.approx(0.251597 / 0.00239873, rel=1e-5)
    assert (p * w).sum() == pytest.approx(1)
    assert torchs.rebalance(p, 0)[0] * p[0] == pytest.approx(1 / 313), "altogether: all classes weigh the same"
    assert np.allclose(torchs.rebalance(p, 1), 1)
    assert np.allclose(torchs.rebalance(np.full(313, 1 / 313)), 1)


def test_rare_colours_of_photographs_count_more():
    p = torchs.smooth(torchs.prior(rgb2lab(getattr(data, name)()[::4, ::4])[..., 1:] for name in ("astronaut", "coffee")))  # fmt: skip
    w = torchs.rebalance(p)
    assert (p * w).sum() == pytest.approx(1)
    assert (np.diff(w[np.argsort(-p)]) >= 0).all(), "the rarer, the heavier"
    assert w[numpys.nearest(np.array([-80, 80]))] > 2 * w[numpys.nearest(np.zeros(2))]


@pytest.mark.parametrize(
    ("p", "mix", "words"),
    [(np.full(312, 1 / 312), 0.5, "312"), (np.full(313, 1.0), 0.5, "sum 313"), (np.eye(313)[0] * 3 - np.eye(313)[1] * 2, 0.5, "no distribution"), (np.full(313, 1 / 313), 1.5, "mix is 1.5"), (np.eye(313)[0], 0, "smooth it first")],
)  # fmt: skip
def test_weights_of_nonsense_are_refused(p, mix, words):
    with pytest.raises(ValueError, match=words):
        torchs.rebalance(p, mix)
