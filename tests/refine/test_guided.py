import numpy as np
import pytest
from skimage import data

from tintype.picture.color import split
from tintype.picture.reduce import average, reduce_luma
from tintype.refine.guided import GUIDE_LONGEST, cubic, enlarge, spread


def reduced(chroma, factor=8):
    size = (chroma.shape[0] // factor, chroma.shape[1] // factor)
    return np.stack([average(np.ascontiguousarray(chroma[..., k]), size) for k in range(2)], -1)


def whole(coarse, luma, way=enlarge):
    return way(coarse, reduce_luma(luma, GUIDE_LONGEST), luma.shape).rows(luma, 0)


def photograph(name):
    rgb = getattr(data, name)()
    h, w = (n // 8 * 8 for n in rgb.shape[:2])
    return split(rgb[:h, :w].astype(np.float32) / 255)


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
def test_closer_to_the_truth_than_bilinear_and_bicubic(name):
    luma, chroma = photograph(name)
    coarse = reduced(chroma)
    error = {w.__name__: np.mean((whole(coarse, luma, w) - chroma) ** 2) for w in (enlarge, spread)}
    assert error["enlarge"] < 0.97 * np.mean((cubic(coarse, luma.shape) - chroma) ** 2)
    assert error["enlarge"] < 0.9 * error["spread"]


def silhouette():
    """A dark, colourless figure with a slanted edge before a bright blue sky: luma and chroma (512, 512[, 2])."""
    y, x = np.mgrid[:512, :512]
    figure = x + 0.37 * y < 333
    luma = np.where(figure, 0.08, 0.75).astype(np.float32)
    chroma = np.where(figure[..., None], 0, [0.12, -0.05]).astype(np.float32)
    return figure, luma, chroma


def test_no_bleeding_over_a_sharp_silhouette():
    figure, luma, chroma = silhouette()
    out = whole(reduced(chroma), luma)
    plain = whole(reduced(chroma), luma, spread)
    assert np.abs(out - chroma)[figure].mean() < 0.25 * np.abs(plain - chroma)[figure].mean()
    assert np.abs(out - chroma).max() < 0.6 * np.abs(plain - chroma).max()


def test_no_halo_overshoots_at_a_strong_edge():
    _, luma, chroma = silhouette()
    out = whole(reduced(chroma), luma)
    assert out[..., 0].max() < 0.12 * 1.15
    assert out[..., 0].min() > -0.12 * 0.15


def test_one_colour_stays_one_colour_whatever_the_luma():
    luma, _ = photograph("astronaut")
    coarse = np.broadcast_to(np.array([0.03, -0.07], np.float32), (40, 40, 2))
    assert np.allclose(whole(coarse, luma), [0.03, -0.07], atol=1e-5)


def test_no_block_pattern_on_even_luma():
    """A smooth ramp of chroma over flat luma stays as smooth: no step larger than twice the ramp's own."""
    ramp = np.linspace(-0.2, 0.2, 64, dtype=np.float32)
    coarse = np.stack(np.meshgrid(ramp, ramp), -1)
    out = whole(coarse, np.full((2048, 2048), 0.5, np.float32))
    assert np.abs(np.diff(out[..., 0], axis=1)).max() < 2 * 0.4 / 2048 * 64 / 63
    assert np.abs(np.diff(out[..., 1], axis=0)).max() < 2 * 0.4 / 2048 * 64 / 63


@pytest.mark.parametrize("rows", [1, 7, 64])
def test_bands_and_whole_agree_to_the_bit(rows):
    luma, chroma = photograph("coffee")
    field = enlarge(reduced(chroma), reduce_luma(luma, 100), luma.shape)
    bands = np.concatenate([field.rows(luma[t : t + rows], t) for t in range(0, len(luma), rows)])
    assert np.array_equal(bands, field.rows(luma, 0))


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3, 2), (17, 331)])
def test_any_size(size):
    luma = np.random.default_rng(0).random(size, np.float32)
    out = whole(np.zeros((1, 1, 2), np.float32) + 0.1, luma)
    assert out.shape == (*size, 2)
    assert np.allclose(out, 0.1, atol=1e-4)


def test_subsampled_rows_lie_between_their_pixels():
    """On even luma the chroma of a 2 x 2 block's one sample is the mean of its four pixels'."""
    coarse = np.random.default_rng(0).normal(0, 0.1, (8, 8, 2)).astype(np.float32)
    luma = np.full((256, 256), 0.4, np.float32)
    field = enlarge(coarse, reduce_luma(luma, 64), luma.shape)
    full = field.rows(luma, 0)
    half = field.rows(luma[:128, :128], 0, step=(2, 2))
    assert np.allclose(half, full.reshape(128, 2, 128, 2, 2).mean((1, 3)), atol=1e-3)
