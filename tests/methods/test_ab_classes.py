"""The 313 colour classes: which they are, there and back."""

import numpy as np
import pytest
from scipy.spatial import ConvexHull, Delaunay, cKDTree
from skimage import data
from skimage.color import rgb2lab

from tintype.methods import ab_classes as classes


def colours(number, seed=0):
    """ab (number, 2) of colours of sRGB, half of them on the surface of the RGB cube, by scikit-image."""
    rng = np.random.default_rng(seed)
    rgb = rng.random((number, 3))
    rgb[np.arange(0, number, 2), rng.integers(0, 3, (number + 1) // 2)] = rng.integers(0, 2, (number + 1) // 2)
    return rgb2lab(rgb)[:, 1:]


def test_ab_is_scikit_images():
    rgb = data.astronaut()[::4, ::4] / 255
    assert np.abs(classes.ab_of(rgb) - rgb2lab(rgb)[..., 1:]).max() < 0.05


def test_there_are_313_on_a_grid_within_110_in_the_published_order():
    centres = classes.centres()
    assert centres.shape == (classes.CLASSES, 2) == (313, 2) and centres.dtype == np.float32
    assert (centres % classes.STEP == 0).all()
    # The published extent, which is not symmetric, and one connected run of b for every a.
    assert np.array_equal(centres.min(0), [-90, -110]) and np.array_equal(centres.max(0), [100, 100])
    assert np.array_equal(np.lexsort(centres.T[::-1]), np.arange(313))
    rows = [centres[centres[:, 0] == a, 1] for a in np.unique(centres[:, 0])]
    assert all((np.diff(row) == classes.STEP).all() for row in rows)
    assert not centres.flags.writeable
    assert classes.centres() is centres


def test_they_are_the_grid_points_within_a_step_of_the_gamuts_hull():
    """The rule itself, done another way: scikit-image's Lab, scipy's hull, distances. 0.05 to spare on both sides of the limit."""
    ab = colours(100_000)
    corners = ab[ConvexHull(ab).vertices]
    along = np.linspace(0, 1, 300)[:, None]
    outline = np.concatenate([a + (b - a) * along for a, b in zip(corners, np.roll(corners, -1, 0), strict=True)])
    grid = np.stack(np.meshgrid(*[np.arange(-150.0, 151, 10)] * 2, indexing="ij"), -1).reshape(-1, 2)
    away = np.where(Delaunay(corners).find_simplex(grid) >= 0, 0, cKDTree(outline).query(grid, p=np.inf)[0])
    chosen = {tuple(c) for c in classes.centres().tolist()}
    assert max(d for d, g in zip(away, grid, strict=True) if tuple(g) in chosen) < 9.95
    assert min(d for d, g in zip(away, grid, strict=True) if tuple(g) not in chosen) > 10.05


def test_every_colour_lies_between_four_classes():
    ab = colours(20_000)
    mixtures = (ab[:10_000] + ab[10_000:]) / 2
    chosen = {tuple(c) for c in classes.centres().tolist()}
    for corner in ((0, 0), (0, 10), (10, 0), (10, 10)):
        points = np.concatenate([ab, mixtures]) // 10 * 10 + corner
        assert {tuple(p) for p in np.unique(points, axis=0).tolist()} <= chosen


def test_soft_encoding_by_hand():
    # At a centre: itself, and four neighbours at distance 10, each e^-2 = 0.135335 of it; the sum is 1.541341.
    numbers, weights = classes.soften(np.array([20.0, -30.0]))
    assert classes.centres()[numbers].tolist() == [[20, -30], [10, -30], [20, -40], [20, -20], [30, -30]]
    assert np.allclose(weights, [0.648786] + [0.087803] * 4, atol=1e-6)
    # In the middle of four: d^2 = 50 each; the fifth is one of eight at 250, e^-4 as heavy, and the lowest number has it.
    numbers, weights = classes.soften(np.array([5.0, 5.0]))
    assert classes.centres()[numbers].tolist() == [[0, 0], [0, 10], [10, 0], [10, 10], [-10, 0]]
    assert np.allclose(weights, [0.248861] * 4 + [0.004558], atol=1e-6)


def test_soft_encoding_takes_the_five_nearest_and_is_a_distribution_even_far_outside():
    ab = np.concatenate([colours(300), np.random.default_rng(0).uniform(-1000, 1000, (300, 2))]).reshape(2, 300, 2)
    numbers, weights = classes.soften(ab)
    full = classes.dense(numbers, weights)
    assert full.shape == (2, 300, 313)
    assert ((full > 0).sum(-1) <= 5).all() and (weights[..., 0] > 0.2).all()
    assert np.allclose(full.sum(-1), 1, atol=1e-6)
    assert (np.diff(weights, axis=-1) <= 0).all(), "nearest first"
    apart = np.linalg.norm(ab[..., None, :] - classes.centres(), axis=-1)
    assert np.allclose(np.sort(apart, -1)[..., :5], np.take_along_axis(apart, numbers, -1))


def test_hard_encoding_is_the_nearest_class():
    ab = np.concatenate([colours(2000), np.random.default_rng(0).uniform(-300, 300, (1000, 2)), np.mgrid[-130:131:5, -130:131:5].reshape(2, -1).T])  # fmt: skip
    assert np.array_equal(classes.nearest(ab), classes.soften(ab)[0][:, 0])
    assert np.array_equal(classes.nearest(classes.centres()), np.arange(313))
    assert classes.nearest(np.zeros((0, 2))).shape == (0,)
    assert classes.nearest(np.zeros((3, 4, 2))).shape == (3, 4)


def test_there_and_back():
    """The grid's own error: half its diagonal at worst for one class, under a tenth of its step for five, even at the gamut's edge."""
    ab = colours(40_000, seed=1)
    hard = np.linalg.norm(classes.centres()[classes.nearest(ab)] - ab, axis=-1)
    assert hard.max() <= 50**0.5 + 1e-4
    with np.errstate(divide="ignore"):
        logits = np.log(classes.dense(*classes.soften(ab)))
    soft = np.linalg.norm(classes.decode(logits, "mean") - ab, axis=-1)
    assert soft.max() < 0.75
    assert np.array_equal(classes.decode(logits, "mode"), classes.centres()[classes.nearest(ab)])


def test_decodes_by_hand():
    p = np.zeros(313)
    p[[10, 200]] = 0.75, 0.25
    a, b = classes.centres()[[10, 200]]
    with np.errstate(divide="ignore"):
        logits = np.log(p)
    assert np.allclose(classes.decode(logits, "mode"), a)
    assert np.allclose(classes.decode(logits, "mean"), 0.75 * a + 0.25 * b, atol=1e-4)
    # At T = 1/2 probabilities are squared: 9 to 1.
    assert np.allclose(classes.decode(logits, "annealed", 0.5), 0.9 * a + 0.1 * b, atol=1e-4)
    # At 0.38: 3^(1 / 0.38) = 18.0142 to 1.
    assert np.allclose(classes.decode(logits), (18.0142 * a + b) / 19.0142, atol=1e-3)


def test_mode_and_mean_are_the_limits_of_annealing():
    logits = np.random.default_rng(0).normal(0, 3, (5, 7, 313)).astype(np.float32)
    mode, mean = (classes.decode(logits, how) for how in ("mode", "mean"))
    assert mode.shape == mean.shape == (5, 7, 2) and mean.dtype == np.float32
    assert np.array_equal(classes.decode(logits, "annealed", 1.0), mean)
    assert np.allclose(classes.decode(logits, "annealed", 1e-30), mode)
    away = [np.linalg.norm(classes.decode(logits, "annealed", t) - mode, axis=-1).mean() for t in (1, 0.38, 0.1)]
    assert away[0] > away[1] > away[2]
    assert np.allclose(classes.decode(logits + 1e4, "mean"), mean, atol=0.5), "a constant changes nothing"


def test_samples_follow_the_distribution_and_the_generator():
    p = np.array([0.1, 0.0, 0.6] + [0.0] * 309 + [0.3])
    with np.errstate(divide="ignore"):
        logits = np.broadcast_to(np.log(p), (200, 200, 313))

    def draw(seed, temperature=0.0):
        return classes.nearest(classes.decode(logits, "sample", temperature, np.random.default_rng(seed)))

    first = draw(0)
    assert np.array_equal(first, draw(0)) and not np.array_equal(first, draw(1))
    share = np.bincount(first.ravel(), minlength=313) / first.size
    assert np.abs(share - p).max() < 0.015, "six standard deviations"
    assert not share[p == 0].any()
    # Squared and normalized: 0.36 of 0.46.
    assert abs((draw(0, 0.5) == 2).mean() - 0.36 / 0.46) < 0.015
    likely = np.broadcast_to(p.astype(np.float32), (2, 313))
    assert classes.pick(likely, np.array([0.0, np.nextafter(1, 0)])).tolist() == [0, 312]
    assert classes.pick(np.roll(likely, 1, -1), np.array([0.0, np.nextafter(1, 0)])).tolist() == [0, 3]


@pytest.mark.parametrize(
    ("how", "temperature", "words"),
    [("best", 0.0, "expected mode, mean"), ("annealed", -1.0, "expected 0"), ("annealed", float("nan"), "expected 0"), ("sample", 0.0, "generator")],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(how, temperature, words):
    with pytest.raises(ValueError, match=words):
        classes.decode(np.zeros((2, 313)), how, temperature)
