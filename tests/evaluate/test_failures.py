"""Real photographs spoiled on purpose, in one way at a time and with their luma kept: the measure that is meant must answer, and only that one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage import data

from tintype.evaluate.failures import FAILURES
from tintype.evaluate.metrics import MEASURES, View
from tintype.picture.color import split
from tintype.picture.join import join

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")

#: What each measure stays within where it isn't meant: from, to.
QUIET = {
    "deficiency": (0.8, 1.25),
    "bleeding": (0, 0.12),
    "edge_pollution": (0, 0.05),
    "inconsistency": (0, 0.5),
    "cast": (0, 2.5),
    "hue_shift": (0, 10),
    "neutral_coloured": (0, 0.1),
}
#: What it must reach where it is: all of them lie well outside the above.
LOUD = {
    "deficiency": (0, 0.5),
    "bleeding": (0.25, 1),
    "edge_pollution": (0.12, 1),
    "inconsistency": (4, 20),
    "cast": (5, 20),
    "neutral_coloured": (0.3, 1),
}


@pytest.fixture(scope="module")
def originals():
    """Four photographs, 256 pixels wide."""
    pictures = {}
    for name in PHOTOGRAPHS:
        picture = Image.fromarray(getattr(data, name)())
        picture.thumbnail((256, 256), Image.Resampling.LANCZOS)
        pictures[name] = View(np.asarray(picture))
    return pictures


def spoil(original, how):
    """The picture with `how` done to its chroma (H, W, 2); luma stays to the byte, colours are fitted into the gamut."""
    _, chroma = split(original.rgb.astype(np.float32) / 255)
    return View(join(original.luma, how(chroma).astype(np.float32)))


def blurred(chroma, sigma=4.0):
    return ndimage.gaussian_filter(chroma, (sigma, sigma, 0))


def shifted(chroma):
    return np.pad(chroma, ((4, 0), (4, 0), (0, 0)), "edge")[:-4, :-4]


def desaturated(chroma):
    return 0.4 * chroma


def tinted(chroma):
    return chroma + np.array([-0.03, 0.03])


def speckled(chroma):
    """Blotches about 6 pixels wide, as strong as a tint."""
    noise = np.random.default_rng(0).normal(0, 1, chroma.shape)
    return chroma + 0.2 * ndimage.gaussian_filter(noise, (2.5, 2.5, 0))


def turned(chroma):
    """By 30 degrees."""
    return chroma @ np.array([[0.866, 0.5], [-0.5, 0.866]])


MEANT = {
    blurred: "bleeding",
    shifted: "edge_pollution",
    desaturated: "deficiency",
    tinted: "cast",
    speckled: "inconsistency",
}


@pytest.mark.parametrize("name", PHOTOGRAPHS)
@pytest.mark.parametrize("how", MEANT, ids=lambda how: how.__name__)
def test_each_failure_moves_its_own_measure_and_no_other(originals, name, how):
    original = originals[name]
    result = spoil(original, how)
    assert MEASURES["luma_exact"].of(result, original) == 1
    for failure, measure in FAILURES.items():
        low, high = LOUD[failure] if failure == MEANT[how] else QUIET[failure]
        found = measure.of(result, original)
        # Only the astronaut has neutral parts.
        expected = math.isnan(found) if failure == "neutral_coloured" and name != "astronaut" else low <= found <= high
        assert expected, f"{failure} is {found:.3f}; expected {low} to {high}"


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_the_original_has_none_of_them(originals, name):
    figures = {failure: measure.of(originals[name], originals[name]) for failure, measure in FAILURES.items()}
    neutral = 0.0 if name == "astronaut" else math.nan
    expected = dict.fromkeys(FAILURES, 0.0) | {"deficiency": 1.0, "neutral_coloured": neutral}
    assert figures == pytest.approx(expected, abs=1e-4, nan_ok=True)


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_more_blur_is_more_bleeding(originals, name):
    original = originals[name]
    found = [FAILURES["bleeding"].of(spoil(original, lambda c, s=s: blurred(c, s)), original) for s in (1, 2, 4, 8)]
    assert (np.diff(found) > 0.03).all()


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_pale_and_blurred_at_once_are_told_apart(originals, name):
    """What networks do most."""
    original = originals[name]
    pale = spoil(original, lambda c: desaturated(blurred(c)))
    full = spoil(original, blurred)
    assert FAILURES["deficiency"].of(pale, original) < 0.45
    assert FAILURES["bleeding"].of(pale, original) == pytest.approx(FAILURES["bleeding"].of(full, original), abs=0.1)


def test_painted_greys(originals):
    """A third of the astronaut's neutral pixels can take colour: the rest are nearly black or white, where the gamut has none.

    Paint over a fifth of the picture is half way to a cast, makes blotches and has edges, so only two others keep still.
    """
    original = originals["astronaut"]
    neutral = ndimage.uniform_filter(original.chroma, 9) < 3.5
    result = spoil(original, lambda c: c + neutral[..., None] * [-0.08, 0.08])
    for failure in ("neutral_coloured", "deficiency", "bleeding"):
        low, high = LOUD[failure] if failure == "neutral_coloured" else QUIET[failure]
        assert low <= FAILURES[failure].of(result, original) <= high, failure


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_grey_is_deficient_and_has_nothing_else(originals, name):
    original = originals[name]
    result = spoil(original, lambda c: 0 * c)
    figures = {failure: measure.of(result, original) for failure, measure in FAILURES.items()}
    assert figures["deficiency"] < 0.01 and math.isnan(figures["bleeding"])
    assert figures["edge_pollution"] == figures["inconsistency"] == 0 and figures["cast"] < 1


def test_sepia_is_a_cast(originals):
    for original in originals.values():
        sepia = spoil(original, lambda c: 0 * c + [-0.06, 0.04])
        assert FAILURES["cast"].of(sepia, original) > 9


def test_grey_tiny_and_plain_originals_give_no_figures():
    grey = View(np.repeat(np.ascontiguousarray(data.camera()[::8, ::8])[..., None], 3, -1))
    vivid = spoil(grey, lambda c: c + np.array([0.1, -0.1]))
    assert all(math.isnan(measure.of(vivid, grey)) for measure in FAILURES.values())
    plain = View(np.full((20, 30, 3), (200, 90, 40), np.uint8))
    without = {name for name, measure in FAILURES.items() if math.isnan(measure.of(plain, plain))}
    assert without == {"bleeding", "edge_pollution", "neutral_coloured"}
    pixel = View(np.full((1, 1, 3), (200, 90, 40), np.uint8))
    for measure in {**MEASURES, **FAILURES}.values():
        measure.of(pixel, pixel)


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_hue_shift_is_the_turn_of_all_colours(originals, name):
    """It is a cast as well where the picture has one prevailing colour, so that it is no row of the table above."""
    assert 20 < FAILURES["hue_shift"].of(spoil(originals[name], turned), originals[name]) < 40
    assert math.isnan(FAILURES["hue_shift"].of(spoil(originals[name], np.zeros_like), originals[name]))
