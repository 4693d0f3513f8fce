"""The promise itself: every pixel's luma comes out as it went in, and colours are in the gamut with their hue kept."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image
from skimage import data

from tintype.picture.color import luma_of, split
from tintype.picture.gamut import fit
from tintype.picture.join import join

LUMA = {8: np.uint8, 16: np.uint16}


@pytest.mark.parametrize("bits", [8, 16])
@given(data=st.data())
def test_any_luma_with_any_chroma_comes_back(bits, data):
    shape = data.draw(npst.array_shapes(min_dims=2, max_dims=2, max_side=40))
    luma = data.draw(npst.arrays(LUMA[bits], shape))
    chroma = data.draw(npst.arrays(np.float32, (*shape, 2), elements=st.floats(width=32, allow_subnormal=False)))
    assert np.array_equal(luma_of(join(luma, chroma)), luma)


@pytest.mark.parametrize("bits", [8, 16])
def test_every_luma_with_chroma_in_every_direction(bits):
    """All 256 lumas (or 4,096 of 65,536 and both ends) against 720 hues at 9 strengths: faces, edges and corners of the gamut."""
    top = 2**bits - 1
    luma = (
        np.arange(256)
        if bits == 8
        else np.unique(np.r_[np.linspace(0, top, 4096).astype(int), 0:40, top - 40 : top + 1])
    )
    angle = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    direction = np.stack([np.cos(angle), np.sin(angle)], -1).astype(np.float32)
    for strength in (0, 1 / top, 0.01, 0.05, 0.2, 0.5, 1, 7, 1e6):
        pixels = np.repeat(luma.astype(LUMA[bits])[:, None], 720, 1)
        chroma = np.broadcast_to(direction * np.float32(strength), (*pixels.shape, 2))
        assert np.array_equal(luma_of(join(pixels, chroma)), pixels)


def test_pillow_means_the_same_luma():
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (512, 512, 3), np.uint8)
    assert np.array_equal(luma_of(rgb), np.asarray(Image.fromarray(rgb).convert("L")))


def test_16_bit_agrees_with_every_way_of_rounding():
    rng = np.random.default_rng(0)
    luma = rng.integers(0, 65536, (256, 256), np.uint16)
    rgb = join(luma, rng.normal(0, 0.2, (256, 256, 2)).astype(np.float32)).astype(float)
    exact = rgb @ [0.299, 0.587, 0.114]
    assert np.array_equal(np.round(exact), luma)
    assert np.array_equal(np.floor(exact + 0.5), luma)


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
def test_true_colours_of_photographs_survive_the_join(name):
    """A photograph taken apart and joined again is itself within rounding: nothing is lost that did not have to be.

    Luma is rounded to a byte first; for pure blue, whose luma is a ninth of it, that alone can cost four levels.
    """
    rgb = getattr(data, name)()
    luma = luma_of(rgb)
    _, chroma = split(rgb.astype(np.float32) / 255)
    back = join(luma, chroma)
    assert np.array_equal(luma_of(back), luma)
    off = np.abs(back.astype(int) - rgb)
    assert off.max() <= 4
    assert np.mean(off <= 1) > 0.97


def test_fit_keeps_hue_and_reduces_only_as_needed():
    rng = np.random.default_rng(1)
    y = rng.random(100_000, np.float32)
    chroma = rng.normal(0, 0.3, (100_000, 2)).astype(np.float32)
    out = fit(y, y, chroma)
    cross = out[:, 0] * chroma[:, 1] - out[:, 1] * chroma[:, 0]
    assert np.abs(cross).max() < 1e-6
    rgb = y[:, None] + out @ np.array([[0, 1.402], [-0.344136, -0.714136], [1.772, 0]], np.float32).T
    assert rgb.min() > -1e-5
    assert rgb.max() < 1 + 1e-5
    reduced = np.linalg.norm(out, axis=1) < np.linalg.norm(chroma, axis=1) * 0.9999
    touches = np.minimum(rgb.min(1), 1 - rgb.max(1)) < 1e-4
    assert touches[reduced].all()


def test_nan_counts_as_no_colour():
    luma = np.full((4, 4), 100, np.uint8)
    chroma = np.full((4, 4, 2), 0.1, np.float32)
    chroma[1, 1] = np.nan
    out = join(luma, chroma)
    assert tuple(out[1, 1]) == (100, 100, 100)
    assert np.array_equal(luma_of(out), luma)
