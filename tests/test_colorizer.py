"""The main job through its public names."""

import numpy as np
import pytest
from PIL import Image
from skimage import data

import tintype
from tintype.picture.color import luma_of
from tintype.picture.picture import from_array

METHODS = ["tint", "grey", "wash"]


def grey(bits=8):
    camera = data.camera()
    return camera if bits == 8 else (camera.astype(np.uint16) << 8) + np.arange(512, dtype=np.uint16) % 251


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bits", [8, 16])
def test_luma_comes_out_as_it_went_in(method, bits):
    array = grey(bits)
    rgb = tintype.Colorizer(method).colorize_array(array)
    assert rgb.dtype == array.dtype and rgb.shape == (512, 512, 3)
    assert np.array_equal(luma_of(rgb), array)
    if bits == 8:
        assert np.array_equal(np.asarray(Image.fromarray(rgb).convert("L")), array)
    assert (rgb[..., 0] == rgb[..., 2]).all() == (method == "grey")


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (2, 3), (333, 511)])
def test_any_size(size):
    array = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    rgb = tintype.Colorizer().colorize_array(array)
    assert np.array_equal(luma_of(rgb), array)


def test_colour_input_is_reduced_to_its_luma_first():
    rgb = data.chelsea()
    sepia = np.clip(luma_of(rgb)[..., None] * [1.1, 0.98, 0.75], 0, 255).astype(np.uint8)
    colorizer = tintype.Colorizer()
    assert np.array_equal(colorizer.colorize_array(sepia), colorizer.colorize_array(luma_of(sepia)))


def test_8_and_16_bit_get_the_same_colours():
    array = grey()
    colorizer = tintype.Colorizer()
    small = colorizer.colorize_array(array).astype(int)
    large = colorizer.colorize_array(array.astype(np.uint16) * 257) / 257
    assert np.abs(small - large).max() <= 2


def test_threads_and_order_change_nothing():
    pictures = [grey(), data.moon(), data.brick()]
    one, two = tintype.Colorizer(threads=1), tintype.Colorizer(threads=2)
    first = [one.colorize_array(p) for p in pictures]
    for p, expected in zip(reversed(pictures), reversed(first), strict=True):
        assert np.array_equal(two.colorize_array(p), expected)


def test_strength_zero_is_grey_and_two_is_stronger():
    colorizer = tintype.Colorizer()

    def colour(strength):
        rgb = colorizer.colorize_array(grey(), options=tintype.Options(strength=strength)).astype(int)
        return np.abs(rgb[..., 0] - rgb[..., 2]).mean()

    assert colour(0) == 0
    assert colour(0.5) < colour(1) < colour(2)
    assert abs(colour(0.5) / colour(1) - 0.5) < 0.1


def test_a_turned_picture_is_seen_upright():
    """Stored turned, with the orientation that says so, a photograph gets the colours that it gets upright."""
    from dataclasses import replace

    array = data.astronaut()[..., 1]
    colorizer = tintype.Colorizer()
    plain = colorizer.colorize_array(array).astype(int)
    picture = from_array(np.ascontiguousarray(np.rot90(array)))  # turned left, so it must be turned right: 6
    page = picture.pages[0]
    page = replace(page, metadata=replace(page.metadata, orientation=6))
    turned = colorizer.colorize(replace(picture, pages=(page,))).array().astype(int)
    assert np.abs(np.rot90(turned, -1) - plain).max() <= 2


def test_public_names_are_these_and_all_there():
    assert sorted(tintype.__all__) == tintype.__all__ and len(tintype.__all__) <= 12
    assert all(getattr(tintype, name) for name in tintype.__all__)
    assert callable(tintype.colorize)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tintype.nothing
