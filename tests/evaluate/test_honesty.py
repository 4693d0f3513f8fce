"""Calibration of class probabilities: what is honest by construction is found to be, and what isn't is not."""

import numpy as np
import pytest

from tintype.evaluate.honesty import Cells, fitted, halves, honesty, nearest, nll, true_chroma
from tintype.picture.color import as_float, split


def drawn(heat=1.0, count=40_000, classes=20, seed=0):
    """Cells whose truths are drawn from their own probabilities; then the logits are multiplied by `heat`."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (count, classes)).astype(np.float32)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    truth = (p.cumsum(-1) < rng.random((count, 1))).sum(-1).clip(0, classes - 1)
    return Cells(heat * logits, truth, np.arange(count) // 40)


def test_honest_probabilities_are_found_so():
    cells = drawn()
    found = honesty(cells, 1.0, seed=0)
    assert found.ece < 0.012 and found.cumulative < 0.012
    assert found.told == pytest.approx(found.right, abs=0.01)
    assert fitted(cells) == pytest.approx(1, rel=0.03)
    assert found.bins[:, 0].sum() == pytest.approx(1) and len(found.ranks) == len(cells.truth)


@pytest.mark.parametrize("heat", [0.5, 3.0])
def test_a_temperature_mends_what_is_too_sure_or_too_timid(heat):
    cells = drawn(heat)
    before = honesty(cells, 1.0, seed=0)
    assert before.ece > 0.08 and before.cumulative > 0.08
    assert (before.told > before.right) == (heat > 1)
    assert fitted(cells) == pytest.approx(heat, rel=0.03)
    after = honesty(cells, heat, seed=0)
    assert after.ece < 0.012 and after.cumulative < 0.012 and after.nll < before.nll == nll(cells, 1.0)


def test_the_error_is_the_papers():
    """0.9 told and 0.7 right of ten cells, 0.6 told and 0.5 right of ten others: (10 x 0.2 + 10 x 0.1) / 20."""
    p = np.repeat([[0.9, 0.1], [0.6, 0.4]], 10, 0)
    truth = np.array([0] * 7 + [1] * 3 + [0] * 5 + [1] * 5)
    found = honesty(Cells(np.log(p).astype(np.float32), truth, np.zeros(20, int)), 1.0, seed=0)
    assert found.ece == pytest.approx(0.15, abs=1e-6)
    assert (found.right, found.told) == (pytest.approx(0.6), pytest.approx(0.75))


def test_knowing_nothing_and_saying_so_is_honest():
    truth = np.random.default_rng(1).integers(0, 8, 20_000)
    found = honesty(Cells(np.zeros((20_000, 8), np.float32), truth, truth), 1.0, seed=0)
    assert found.ece < 0.01 and found.cumulative < 0.012 and found.nll == pytest.approx(np.log(8))


def test_a_classs_own_share_may_be_wrong_where_the_top_one_is_right():
    """The second class of three takes the third's truths: only the cumulative check sees it."""
    rng = np.random.default_rng(2)
    p = np.tile([0.5, 0.3, 0.2], (20_000, 1))
    truth = np.where(rng.random(20_000) < 0.5, 0, 1)
    found = honesty(Cells(np.log(p).astype(np.float32), truth, truth), 1.0, seed=0)
    assert found.ece < 0.01 and found.cumulative == pytest.approx(0.2, abs=0.02)


def test_halves_share_no_picture():
    cells = drawn(count=4000)
    first, second = halves(cells, 3)
    assert not set(first.picture) & set(second.picture) and len(first.truth) + len(second.truth) == 4000
    assert np.array_equal(halves(cells, 3)[0].truth, first.truth)
    assert not np.array_equal(halves(cells, 4)[0].picture, first.picture)


def test_true_chroma_is_the_mean_of_what_the_cell_covers():
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (24, 40, 3), np.uint8)
    chroma = split(as_float(rgb))[1]
    found = true_chroma(rgb, (24, 40), 4)
    assert found.shape == (6, 10, 2) and found.dtype == np.float32
    assert np.allclose(found[2, 3], chroma[8:12, 12:16].mean((0, 1)), atol=1e-6)
    halved = true_chroma(rgb, (12, 20), 4)
    assert np.allclose(halved[1, 2], chroma[8:16, 16:24].mean((0, 1)), atol=1e-6)
    edge = true_chroma(rgb, (6, 10), 4)  # the last cells see the last rows and columns more than once
    small = true_chroma(rgb, (6, 10), 1)
    assert edge.shape == (2, 3, 2)
    assert np.allclose(edge[1, 0], (small[4, :4].sum(0) + 3 * small[5, :4].sum(0)) / 16, atol=1e-6)


def test_the_nearest_class():
    centres = np.array([[0, 0], [0.1, 0], [0, 0.2]], np.float32)
    chroma = np.array([[0.04, 0.01], [0.2, 0.05], [0, 0.11]], np.float32)
    assert nearest(chroma, centres).tolist() == [0, 1, 2]
