"""The machine's Turing test: what it must see, and what it can't."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from tintype.colorizer import Colorizer
from tintype.evaluate import turing
from tintype.evaluate.turing import PALETTE, describe, told_apart
from tintype.methods.method import Options

VAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "photos" / "val.parquet"
real = pytest.mark.skipif(not VAL.exists(), reason="the validation photographs are not here")


@pytest.fixture(scope="module")
def photos():
    """160 photographs (H, W, 3), at most 128 pixels long."""
    from pyarrow import parquet

    coded = parquet.read_table(VAL, columns=["image"])["image"]
    chosen = np.random.default_rng(0).permutation(len(coded))[:160]
    pictures = [Image.open(io.BytesIO(coded[int(k)].as_py())).convert("RGB") for k in chosen]
    for picture in pictures:
        picture.thumbnail((128, 128))
    return [np.asarray(picture) for picture in pictures]


@pytest.fixture(scope="module")
def known(photos):
    return np.stack([describe(rgb) for rgb in photos])


def grey(rgb):
    return np.repeat(np.asarray(Image.fromarray(rgb).convert("L"))[..., None], 3, 2)


def paler(rgb, strength):
    luma = grey(rgb).astype(np.float32)
    return np.clip(np.rint(luma + strength * (rgb - luma)), 0, 255).astype(np.uint8)


def noise(count, width, seed=0):
    return np.random.default_rng(seed).normal(0, 1, (count, width)).astype(np.float32)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 2), (300, 1), (40, 700)])
@pytest.mark.parametrize("level", [0, 255, None])
def test_every_picture_has_as_many_finite_numbers(size, level):
    rgb = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    rgb = rgb if level is None else np.full_like(rgb, level)
    numbers = describe(rgb)
    assert numbers.shape == (242,) and numbers.dtype == np.float32
    assert np.isfinite(numbers).all()
    assert np.array_equal(numbers, describe(rgb))


def test_the_palette_is_what_shuffled_pixels_keep():
    rgb = data.astronaut()[::5, ::5]
    shuffled = np.random.default_rng(0).permutation(rgb.reshape(-1, 3)).reshape(rgb.shape)
    before, after = describe(rgb), describe(shuffled)
    assert np.allclose(before[:PALETTE], after[:PALETTE], rtol=1e-3, atol=1e-3)
    assert not np.isclose(before[PALETTE:], after[PALETTE:], rtol=0.02).any()


def test_the_histogram_is_a_distribution_and_grey_lies_in_its_middle():
    places = slice(1, 148)
    assert np.isclose((describe(data.chelsea())[places] ** 2).sum(), 1, atol=1e-4)
    middles = (describe(grey(data.chelsea()))[places] ** 2).reshape(3, 49)[:, 24]
    assert np.isclose(middles.sum(), 1, atol=0.01)


def test_shares_by_hand():
    shares = turing._shares(np.array([-99.0, -40, -30, 0, 6, 99], np.float32), turing.PLACES)
    assert shares[0].tolist() == [1, 1, 0.5, 0, 0, 0]
    assert np.allclose(shares[:, 4], [0, 0, 0, 0.25, 0.75, 0, 0])
    assert shares[-1].tolist() == [0, 0, 0, 0, 0, 1]
    assert np.allclose(shares.sum(0), 1)


def test_the_area_is_scikit_learns_and_the_shifts_add_up_to_nothing():
    from sklearn.metrics import roc_auc_score

    scores = np.random.default_rng(0).integers(0, 20, 60).astype(float)  # many ties
    scores[30:] += 3
    auc, shifts = turing._auc(*np.split(scores, 2))
    assert np.isclose(auc, roc_auc_score(np.repeat([0, 1], 30), scores))
    assert abs(shifts.sum()) < 1e-9


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_intervals_hold_the_truth_as_often_as_they_say(shift):
    """60 sets of pictures that differ by nothing, or by a shift; the truth of the latter is their mean."""
    common = [noise(80, 10, seed) for seed in range(60)]
    verdicts = [
        told_apart(c + noise(80, 10, 100 + s), c + noise(80, 10, 200 + s) + np.float32(shift), s)
        for s, c in enumerate(common)
    ]
    truth = np.mean([v.auc for v in verdicts]) if shift else 0.5
    held = np.mean([v.low <= truth <= v.high for v in verdicts])
    assert held >= 0.88, "95 % but for chance (two and a half deviations)"
    if shift:
        assert all(v.low > 0.5 for v in verdicts)


def test_both_versions_of_a_picture_are_on_the_same_side():
    """Were they not, what marks one picture alone would show: here every picture has a number of its own, and nothing else differs."""
    own = np.eye(60, dtype=np.float32) * 10
    verdict = told_apart(own, own, 0)
    assert verdict.auc == 0.5 and verdict.low <= 0.5 <= verdict.high
    assert verdict.count == 60


def test_a_clear_mark_is_found_among_many_numbers_and_the_limit_of_pictures_holds():
    wide = noise(300, 1500)
    marked = wide.copy()
    marked[:, 7] += 3
    verdict = told_apart(wide, marked, 0, most=200)
    assert verdict.low > 0.6 and verdict.count == 200
    assert verdict == told_apart(wide, marked, 0, most=200), "the same seed, the same verdict"
    assert verdict != told_apart(wide, marked, 1, most=200)


def test_no_error_at_all_is_no_certainty():
    """Of 100 pictures without an error, at 97.5 % fewer than 3.62 in 100 are wrong: 0.025^(1/100)."""
    verdict = told_apart(noise(100, 3), noise(100, 3) + 100, 0)
    assert verdict.auc == verdict.high == 1 and np.isclose(verdict.low, 0.9638, atol=1e-4)


def test_few_pictures_give_no_verdict_and_unequal_ones_an_error():
    assert np.isnan(told_apart(noise(19, 5), noise(19, 5), 0).auc)
    assert told_apart(noise(20, 5), noise(20, 5), 0).count == 20
    with pytest.raises(ValueError, match="the same pictures"):
        told_apart(noise(30, 5), noise(29, 5), 0)


@real
def test_originals_are_not_told_from_originals(known):
    assert told_apart(known, known, 0).auc == 0.5
    other = told_apart(known[:80], known[80:], 0)
    assert other.low <= 0.5 <= other.high


@real
def test_grey_is_told_and_paler_pictures_the_better_the_paler_they_are(photos, known):
    verdicts = [told_apart(known, np.stack([describe(paler(p, s)) for p in photos]), 0) for s in (0.9, 0.75, 0.5, 0)]
    aucs = [v.auc for v in verdicts]
    assert 0.5 < aucs[0] < aucs[1] < aucs[2] < aucs[3]
    assert verdicts[0].low > 0.5 and aucs[0] < 0.75, "a tenth less is hardly seen, but seen"
    assert verdicts[3].low > 0.95 and aucs[3] > 0.99


@real
def test_the_mean_of_a_network_is_told(photos, known):
    colorizer = Colorizer("tint", threads=1)
    results = [colorizer.colorize_array(grey(p)[..., 0], options=Options(decode="mean")) for p in photos[:80]]
    made = np.stack([describe(rgb) for rgb in results])
    verdict, palette = (told_apart(known[:80, :width], made[:, :width], 0) for width in (242, PALETTE))
    assert verdict.low > 0.8 and palette.low > 0.7
