"""Colour from reference pictures."""

import numpy as np
import pytest
from scipy.ndimage import generic_filter
from skimage import data
from skimage.color import rgb2lab
from skimage.exposure import match_histograms

from tintype.colorizer import Colorizer
from tintype.errors import HintsError
from tintype.guidance.hints import Hints, Point
from tintype.methods import transfer
from tintype.methods.method import Options
from tintype.methods.transfer import Transfer
from tintype.picture.color import luma_of, merge, split

PHOTOS = {"astronaut": data.astronaut, "chelsea": data.chelsea, "coffee": data.coffee, "rocket": data.rocket}


def photo(name):
    """A photograph, at most 256 pixels long or nearly so."""
    rgb = PHOTOS[name]()
    return rgb[:: max(rgb.shape) // 256 + 1, :: max(rgb.shape) // 256 + 1]


def luma(rgb):
    return luma_of(rgb).astype(np.float32) / 255


def chroma(method, grey):
    return method.chroma(grey, Hints(), Options())


def ab_error(chroma, rgb):
    """Root mean square error in a and b, by scikit-image."""
    result = np.clip(merge(luma(rgb), chroma), 0, 1)
    return np.sqrt(np.mean((rgb2lab(result) - rgb2lab(rgb))[..., 1:] ** 2))


@pytest.mark.parametrize("name", PHOTOS)
def test_a_picture_gets_about_its_own_colours_back(name):
    rgb = photo(name)
    own = ab_error(chroma(Transfer([rgb]), luma(rgb)), rgb)
    grey = ab_error(np.zeros((*rgb.shape[:2], 2), np.float32), rgb)
    assert own < 0.85 * grey


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (90, 60)])
def test_one_colour_gives_that_colour(size):
    colour = np.array([150, 110, 90], np.uint8)
    given = chroma(Transfer([np.full((*size, 3), colour)]), np.full((7, 5), 0.0) + np.float32(luma(colour[None])))
    assert np.allclose(given, split(colour.astype(np.float32) / 255)[1], atol=2e-3)


def test_one_colour_gives_its_ab_at_every_lightness():
    method = Transfer([np.full((20, 20, 3), (140, 120, 110), np.uint8)])
    ramp = np.linspace(0.2, 0.8, 60, dtype=np.float32)[None]
    ab = rgb2lab(merge(ramp, chroma(method, ramp)))[..., 1:]
    assert np.abs(ab - rgb2lab(np.array([140, 120, 110]) / 255)[1:]).max() < 0.3


def test_a_grey_reference_gives_grey():
    grey = np.repeat(luma_of(photo("coffee"))[..., None], 3, 2)
    assert np.abs(chroma(Transfer([grey]), luma(photo("chelsea")))).max() < 1e-4


def test_texture_decides_where_luma_does_not():
    """Two halves of equal mean luma and other colour, one of them rough: each gets its own colour back."""
    rng = np.random.default_rng(0)
    rgb = np.empty((80, 160, 3), np.uint8)
    rgb[:, :80], rgb[:, 80:] = (160, 110, 100), (90, 130, 150)
    rough = rgb[:, 80:] + rng.integers(-40, 41, (80, 80, 1))
    rgb[:, 80:] = rough
    given = chroma(Transfer([rgb]), luma(rgb))
    assert (given[5:-5, 5:75, 1] > 0.05).all(), "red"
    assert (given[5:-5, 85:-5, 1] < 0).mean() > 0.98, "blue"


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (1, 300), (37, 211)])
@pytest.mark.parametrize("reference", [(1, 1), (2, 3), (4, 900), (600, 500)])
def test_any_size_by_any_reference(size, reference):
    rgb = np.random.default_rng(0).integers(0, 256, (*reference, 3), np.uint8)
    given = chroma(Transfer([rgb]), np.random.default_rng(1).random(size, np.float32))
    assert given.shape == (*size, 2) and given.dtype == np.float32
    assert np.isfinite(given).all() and np.abs(given).max() <= 0.5


def test_the_same_always_and_by_the_seed():
    references = [photo("coffee"), photo("rocket")]
    grey = luma(photo("chelsea"))
    one, same, other = Transfer(references), Transfer(references), Transfer(references, seed=1)
    np.random.seed(3)
    assert np.array_equal(chroma(one, grey), chroma(same, grey)) and one.sha256 == same.sha256
    assert not np.array_equal(chroma(one, grey), chroma(other, grey)) and one.sha256 != other.sha256
    alone = Transfer(references[1:])
    assert np.array_equal(alone.samples[0].ab, one.samples[1].ab), "whatever the other references"
    assert alone.sha256 != one.sha256 and len(alone.sha256) == 64


def test_about_200_points_one_in_each_cell():
    samples = transfer.sample(photo("coffee"), np.random.default_rng(0))
    assert 180 <= len(samples.luma) == len(samples.ab) == len(samples.deviation) <= 220
    for size in [(256, 171), (16, 256), (256, 256)]:
        y, x = transfer._jittered(size, np.random.default_rng(0))
        assert 150 <= len(y) <= 230 and (y < size[0]).all() and (x < size[1]).all()
        assert len(np.unique(y * size[1] + x)) == len(y)
    y, x = transfer._jittered((3, 4), np.random.default_rng(0))
    assert sorted(zip(y.tolist(), x.tolist(), strict=True)) == [(j, i) for j in range(3) for i in range(4)]


def test_the_deviation_is_scipys():
    grey = luma(photo("rocket"))[:40, :50]
    assert np.abs(transfer.deviation(grey) - generic_filter(grey, np.std, 5, mode="nearest")).max() < 1e-5


def test_matching_is_scikit_images_and_nothing_where_histograms_are_equal():
    picture, wanted = luma(photo("chelsea")), luma(photo("coffee"))
    matched = transfer.match(picture, transfer.histogram(wanted))
    assert np.abs(matched - match_histograms(picture, wanted)).mean() < 0.01
    assert np.abs(transfer.match(picture, transfer.histogram(picture)) - picture).max() < 1e-6
    dark = transfer.match(np.full((2, 2), 0.9, np.float32), transfer.histogram(np.full((3, 3), 0.2, np.float32)))
    assert np.allclose(dark, 0.2)


def test_the_nearest_reference_is_taken():
    pictures = [photo(name) for name in PHOTOS]
    histograms = np.stack([transfer.histogram(luma(rgb)) for rgb in pictures])
    for k, rgb in enumerate(pictures):
        smaller = luma(rgb)[::2, ::2]
        assert transfer.nearest(smaller, histograms) == k
        alone, among = Transfer([rgb]), Transfer(pictures)
        assert np.array_equal(chroma(among, smaller), chroma(alone, smaller))
    # By hand: from level 100, level 90 is 10 away, level 120 twenty, half 100 and half 160 thirty.
    levels = np.zeros((3, 256), np.float32)
    levels[0, 120], levels[1, 90], levels[2, [100, 160]] = 1, 1, 0.5
    assert transfer.nearest(np.full((4, 4), 100 / 255, np.float32), levels) == 1
    assert transfer.nearest(np.full((4, 4), 106 / 255, np.float32), levels) == 0


@pytest.mark.parametrize("name", ["chelsea", "rocket"])
def test_the_whole_pipeline_keeps_the_luma(name):
    colorizer = Colorizer(Transfer([data.coffee(), data.astronaut()]))
    grey = luma_of(PHOTOS[name]())
    result = colorizer.colorize_array(grey)
    assert np.array_equal(luma_of(result), grey)
    assert np.ptp(result, axis=-1).mean() > 10, "coloured"


def test_what_cannot_be_is_refused():
    method = Transfer([photo("coffee")])
    with pytest.raises(HintsError, match="'welsh' can't follow hints"):
        method.chroma(np.zeros((4, 4), np.float32), Hints((Point(1, 1, (255, 0, 0)),)), Options())
    with pytest.raises(ValueError, match="at least one"):
        Transfer([])
    for bad in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(ValueError, match="expected uint8"):
            Transfer([bad])
