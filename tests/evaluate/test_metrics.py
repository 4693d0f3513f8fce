"""Measures against scikit-image, published figures, brute force and hand-worked numbers."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from PIL import Image
from skimage import data
from skimage.color import deltaE_cie76, deltaE_ciede2000, rgb2lab
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

from tintype.evaluate import metrics
from tintype.evaluate.colour_difference import ciede2000
from tintype.evaluate.metrics import MEASURES, Stream, View
from tintype.picture.color import luma_of

RED, YELLOW, GREEN, BLUE, WHITE = (255, 0, 0), (255, 255, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


@pytest.fixture(scope="module")
def original():
    return View(np.ascontiguousarray(data.astronaut()[:180:2, 100:356:2]))


@pytest.fixture(scope="module")
def result(original):
    """Greener, paler, blotchy: with every kind of error."""
    noise = np.random.default_rng(0).normal(0, 6, original.rgb.shape)
    grey = original.luma[..., None].astype(float)
    return View((grey + 0.6 * (original.rgb - grey) + noise + [-4, 4, 0]).clip(0, 255).astype(np.uint8))


def view(*colours, size=(12, 12)):
    """Equal vertical stripes."""
    stripes = np.repeat(np.array(colours, np.uint8), size[1] // len(colours), 0)
    return View(np.tile(stripes, (size[0], 1, 1)))


def of(name, result, original):
    return MEASURES[name].of(result, original)


def test_against_scikit_image(result, original):
    lab, true = rgb2lab(result.rgb), rgb2lab(original.rgb)
    mse = mean_squared_error(true[..., 1:], lab[..., 1:])
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    expected = {
        "ab_rmse": mse**0.5,
        "ab_mae": np.abs(lab - true)[..., 1:].mean(),
        "psnr": peak_signal_noise_ratio(original.rgb, result.rgb),
        "psnr_ab": 10 * math.log10(220**2 / mse),
        "ssim": structural_similarity(original.rgb, result.rgb, channel_axis=-1, **window),
        "delta_e76": deltaE_cie76(true, lab).mean(),
        "delta_e2000": deltaE_ciede2000(true, lab).mean(),
    }
    assert {name: of(name, result, original) for name in expected} == pytest.approx(expected, rel=2e-4)


def test_a_picture_against_itself(original):
    figures = {name: measure.of(original, original) for name, measure in MEASURES.items()}
    best = {"psnr": 99, "psnr_ab": 99, "luma_exact": 1, "colourfulness": original.colourfulness}
    best |= dict.fromkeys(("ssim", "qssim", "accuracy", "argmax_accuracy", "pa"), 1)
    assert figures == pytest.approx({name: best.get(name, 0) for name in MEASURES}, abs=1e-5)


def test_every_measure_tells_a_worse_result(result, original):
    worse = View(np.random.default_rng(1).integers(0, 256, original.rgb.shape, np.uint8))
    for name, measure in MEASURES.items():
        bad, good, best = (measure.of(one, original) for one in (worse, result, original))
        if measure.better == "original":
            assert abs(bad - best) > abs(good - best) > 0, name
        else:
            assert bad > good > best if measure.better == "lower" else bad < good < best, name


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    # From the test data of Sharma, Wu, Dalal 2005, table 1.
    [
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
        ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0009), 7.1792),
        ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0011), 7.2195),
        ((50.0, 2.5, 0.0), (50.0, 0.0, -2.5), 4.3065),
        ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
        ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_ciede2000_by_its_published_pairs(first, second, expected):
    assert ciede2000(np.array(first), np.array(second)) == pytest.approx(expected, abs=1e-4)
    assert ciede2000(np.array(second), np.array(first)) == pytest.approx(expected, abs=1e-4)


def test_ciede2000_is_scikit_images_all_over_the_space():
    first, second = np.random.default_rng(0).uniform((0, -110, -110), (100, 110, 110), (2, 20_000, 3))
    first[:100, 1:] = 0
    assert np.abs(ciede2000(first, second) - deltaE_ciede2000(first, second)).max() < 1e-8


def test_colourfulness_is_signed():
    """Of red and green stripes R - G is +-255, (R + G) / 2 - B is 127.5: M = 255 + 0.3 * 127.5. Absolute values lose the 255."""
    assert view(RED, GREEN).colourfulness == pytest.approx(293.25)
    assert absolute(view(RED, GREEN).rgb) == pytest.approx(0.3 * math.hypot(255, 127.5))
    # On photographs too, the more so the more colours of both signs there are: 72.6, 76.9 and 38.6 become 71.4, 76.8 and 29.0.
    pairs = [(metrics.colourfulness(rgb), absolute(rgb)) for rgb in (data.astronaut(), data.coffee(), data.rocket())]
    assert np.array(pairs) == pytest.approx(np.array([(72.6, 71.4), (76.9, 76.8), (38.6, 29.0)]), abs=0.06)


def absolute(rgb):
    """The variant."""
    r, g, b = np.moveaxis(rgb.astype(float), -1, 0)
    rg, yb = abs(r - g), abs((r + g) / 2 - b)
    return math.hypot(rg.std(), yb.std()) + 0.3 * math.hypot(rg.mean(), yb.mean())


def multiply(p, q):
    """Hamilton's product of quaternions (..., 4)."""
    (a, b, c, d), (e, f, g, h) = np.moveaxis(p, -1, 0), np.moveaxis(q, -1, 0)
    parts = a * e - b * f - c * g - d * h, a * f + b * e + c * h - d * g, a * g - b * h + c * e + d * f, a * h + b * g - c * f + d * e  # fmt: skip
    return np.stack(parts, -1)


def test_qssim_by_quaternions(result, original):
    """One window, done with whole quaternions, their products, conjugates and norms."""
    crop = np.s_[20:31, 30:41]
    x, y = (np.pad(v.rgb[crop] / 255 / 3**0.5, ((0, 0), (0, 0), (1, 0))) for v in (result, original))
    weights = np.exp(-((np.mgrid[-5:6, -5:6] ** 2).sum(0)) / (2 * 1.5**2))
    weights /= weights.sum()

    def mean(q):
        return (weights[..., None] * q).sum((0, 1))

    def product(p, q):
        return multiply(p, q * [1, -1, -1, -1])

    one = np.array([1.0, 0, 0, 0])
    mx, my = mean(x), mean(y)
    above = multiply(2 * product(mx, my) + 0.0001 * one, 2 * mean(product(x - mx, y - my)) + 0.0009 * one)
    squares = [np.linalg.norm(mean(product(q, q))) for q in (mx[None, None], my[None, None], x - mx, y - my)]
    squares[:2] = [np.linalg.norm(mx) ** 2, np.linalg.norm(my) ** 2]
    expected = np.linalg.norm(above) / ((squares[0] + squares[1] + 0.0001) * (squares[2] + squares[3] + 0.0009))
    found = of("qssim", View(np.ascontiguousarray(result.rgb[crop])), View(np.ascontiguousarray(original.rgb[crop])))
    assert found == pytest.approx(expected, rel=1e-4) and 0.1 < found < 0.99


def test_qssim_sees_colours_that_change_places(original):
    """For grey pictures it is SSIM; what tells them apart is hue."""
    grey = View(np.repeat(original.luma[..., None], 3, -1))
    dark = View(grey.rgb // 2 + 20)
    assert of("qssim", dark, grey) == pytest.approx(of("ssim", dark, grey), abs=1e-4)
    turned = View(np.ascontiguousarray(original.rgb[..., [1, 2, 0]]))
    assert of("qssim", turned, original) < 0.97


def test_structure_needs_a_window():
    small, large = view(RED, BLUE, size=(10, 40)), view(RED, BLUE, size=(11, 40))
    for name in ("ssim", "qssim"):
        assert math.isnan(of(name, small, small)) and of(name, large, large) == pytest.approx(1, abs=1e-3)


def test_accuracy_is_the_share_of_pixels_with_both_channels_within_two_percent(result, original):
    a, b = np.moveaxis(rgb2lab(result.rgb) - rgb2lab(original.rgb), -1, 0)[1:]
    inside = (abs(a) <= 4.4) & (abs(b) <= 4.4)
    assert of("accuracy", result, original) == pytest.approx(inside.sum() / inside.size, abs=1e-3)
    assert 0.02 < inside.mean() < 0.9


def test_argmax_accuracy(result, original):
    assert of("argmax_accuracy", result, original) == np.mean(result.rgb.argmax(-1) == original.rgb.argmax(-1))
    # White counts as red, yellow as red, cyan as green.
    assert view(WHITE, (9, 9, 0), (0, 9, 9)).largest[0, ::4].tolist() == [0, 0, 1]


def test_pa_by_brute_force(result, original):
    def smooth(ab, y, x):
        beside = [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
        there = [p for p in beside if 0 <= p[0] < ab.shape[0] and 0 <= p[1] < ab.shape[1]]
        return all((abs(ab[p] - ab[y, x]) <= 5).all() for p in there)

    result = View((0.6 * original.rgb + 0.4 * result.rgb).astype(np.uint8))
    ab, true = (v.ab[:40, :50] for v in (result, original))
    wanted = [place for place in np.ndindex(40, 50) if smooth(true, *place)]
    expected = sum(smooth(ab, *place) for place in wanted) / len(wanted)
    crops = [View(np.ascontiguousarray(v.rgb[:40, :50])) for v in (result, original)]
    assert of("pa", *crops) == expected and 0.02 < expected < 0.98


def test_pa_of_nothing_smooth():
    stripes = view(*[RED, BLUE] * 6)
    assert math.isnan(of("pa", stripes, stripes))


@pytest.mark.parametrize(
    ("result", "original", "degrees"),
    # Hues of yellow, green and blue are 103, 136 and 306 degrees, in bins 10, 13 and 30: the short way round counts.
    [
        ([YELLOW], [YELLOW], 0),
        ([YELLOW], [GREEN], 30),
        ([GREEN], [BLUE], 170),
        ([YELLOW], [BLUE], 160),
        ([YELLOW, GREEN], [GREEN, YELLOW], 0),
        ([YELLOW, WHITE], [GREEN, GREEN], 30),
    ],
)
def test_hue_distance_by_hand(result, original, degrees):
    assert of("hue_distance", view(*result), view(*original)) == pytest.approx(degrees, abs=0.01)
    assert of("hue_distance", view(*original), view(*result)) == pytest.approx(degrees, abs=0.01)


def test_hue_distance_moves_by_shares():
    """Green has chroma 119.78, blue 133.81: of half and half, 0.4723 of the chroma is green and has 170 degrees to go to blue."""
    assert of("hue_distance", view(GREEN, BLUE), view(BLUE)) == pytest.approx(170 * 119.78 / 253.59, abs=0.05)
    assert math.isnan(of("hue_distance", view(WHITE), view(RED)))


def test_luma(original):
    changed = original.rgb.copy()
    changed[0, :3] ^= 128
    expected = abs(luma_of(changed).astype(int) - luma_of(original.rgb))
    assert of("luma_error", View(changed), original) == expected.max() > 10
    assert of("luma_exact", View(changed), original) == 1 - 3 / expected.size


def test_pixel_errors_and_colours_count_each_pixel_once(result, original):
    counts = metrics.pixel_errors(result, original)
    errors = np.sqrt(((result.ab - original.ab) ** 2).mean(-1))
    assert np.array_equal(counts, np.histogram(errors, metrics.ERROR_EDGES)[0])
    assert len(counts) == len(metrics.ERROR_EDGES) - 1 and counts.sum() == errors.size
    # Blue against green is sqrt((165.5^2 + 191^2) / 2) = 178.7 apart: beyond the last edge.
    assert metrics.pixel_errors(view(BLUE), view(GREEN))[-1] == 144
    edges = np.arange(-110, 111, 5)
    expected = np.histogram2d(*original.ab.reshape(-1, 2).T, (edges, edges))[0]
    assert np.array_equal(metrics.colours(original), expected) and expected.sum() == errors.size


def test_nearly_grey(original):
    stored = io.BytesIO()
    Image.fromarray(np.repeat(original.luma[..., None], 3, -1)).save(stored, "JPEG", quality=50)
    grey = View(np.asarray(Image.open(stored).convert("RGB")))
    assert metrics.nearly_grey(grey) and grey.chroma.mean() < 1
    assert not metrics.nearly_grey(original)
    assert metrics.nearly_grey(view(WHITE)) and not metrics.nearly_grey(view((150, 130, 100)))


def test_a_stream_means_over_pictures_and_pools_over_pixels():
    one, four = view(WHITE, size=(12, 12)), view(WHITE, size=(24, 24))
    stream = Stream()
    first = stream.update(view(RED), one)
    second = stream.update(four, four)
    assert first["ab_rmse"] > 0 == second["ab_rmse"]
    figures = stream.compute()
    assert stream.pictures == 2
    assert figures["ab_rmse"] == pytest.approx(first["ab_rmse"] / 2)
    assert figures["pooled_ab_rmse"] == pytest.approx(first["ab_rmse"] / 5**0.5)
    assert figures["psnr"] == pytest.approx((first["psnr"] + 99) / 2)
    assert figures["pooled_psnr"] == pytest.approx(first["psnr"] + 10 * math.log10(5))
    assert math.isnan(figures["hue_distance"]), "of grey originals"
    stream.update(view(YELLOW), view(GREEN))
    assert stream.compute()["hue_distance"] == pytest.approx(30), "the greys are left out"
    assert set(figures) == {*MEASURES, "pooled_ab_rmse", "pooled_psnr"}


def test_a_stream_of_some_measures():
    stream = Stream({"ab_rmse": MEASURES["ab_rmse"]})
    stream.update(view(RED), view(RED))
    assert stream.compute() == {"ab_rmse": 0, "pooled_ab_rmse": 0, "pooled_psnr": 99}


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="expected one size"):
        Stream().update(view(RED), view(RED, size=(12, 24)))
    with pytest.raises(ValueError, match="no picture"):
        Stream().compute()
    for wrong in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(ValueError, match="expected uint8"):
            View(wrong)


def test_rows_say_what_they_are():
    assert all(name == measure.name and measure.title and measure.about for name, measure in MEASURES.items())
    assert {name for name, measure in MEASURES.items() if not measure.needs_colour} == {"luma_error", "luma_exact"}
