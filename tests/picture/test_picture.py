import numpy as np
import pytest
from skimage import data

from tintype.picture.picture import ArrayPixels, Band, from_array, reduce_bands, reduced_size
from tintype.picture.reduce import average
from tintype.picture.turn import stored, upright


def photograph(bits=8):
    grey = data.camera()
    return grey if bits == 8 else grey.astype(np.uint16) * 257


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (3, 2), (511, 333)])
@pytest.mark.parametrize("channels", [None, 1, 2, 3, 4])
def test_arrays_of_any_size_and_channels_become_pictures(shape, channels):
    rng = np.random.default_rng(0)
    array = rng.integers(0, 256, shape if channels is None else (*shape, channels), np.uint8)
    page = from_array(array).pages[0]
    assert page.size == shape
    assert page.has_alpha == (channels in (2, 4))
    assert np.concatenate([b.luma for b in page.pixels.bands()]).shape == shape


@pytest.mark.parametrize(
    "bad", [np.zeros((4, 4)), np.zeros((4, 4, 5), np.uint8), np.zeros(4, np.uint8), np.zeros((0, 4), np.uint8)]
)
def test_what_is_no_picture_is_refused(bad):
    with pytest.raises(ValueError, match="no picture"):
        from_array(bad)


@pytest.mark.parametrize("longest", [1, 7, 100, 333, 512, 4000])
def test_bands_and_whole_reduce_alike(longest):
    grey = photograph()
    whole = reduce_bands(iter([Band(0, grey)]), grey.shape, longest)
    bands = reduce_bands((Band(t, grey[t : t + 7]) for t in range(0, 512, 7)), grey.shape, longest)
    assert np.array_equal(whole, bands)
    assert whole.shape == reduced_size(grey.shape, longest)
    assert abs(whole.mean() - grey.mean() / 255) < 1e-4


def test_reducing_by_a_whole_number_is_the_plain_mean():
    grey = photograph()
    expected = grey.reshape(128, 4, 128, 4).mean((1, 3)) / 255
    assert np.allclose(ArrayPixels(grey).reduced(128), expected, atol=1e-6)
    assert np.allclose(average(grey.astype(np.float32) / 255, (128, 128)), expected, atol=1e-6)


def test_16_bit_reduces_to_the_same_luma():
    assert np.allclose(ArrayPixels(photograph(16)).reduced(100), ArrayPixels(photograph()).reduced(100), atol=1e-6)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_is_pillows_and_has_an_inverse(orientation):
    from PIL import Image, ImageOps

    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    im = Image.fromarray(array)
    im.getexif()[0x0112] = orientation
    assert np.array_equal(upright(array, orientation), np.asarray(ImageOps.exif_transpose(im)))
    assert np.array_equal(stored(upright(array, orientation), orientation), array)
