"""What every method promises, and what the embedded network adds."""

import numpy as np
import pytest
from skimage import data

from tintype.errors import HintsError, ModelError, UsageError
from tintype.guidance.hints import Hints, Point
from tintype.methods import METHODS, build
from tintype.methods.method import InputRules, Options
from tintype.picture.picture import reduced_size
from tintype.picture.reduce import reduce_luma


def luma(longest=256):
    return reduce_luma(data.camera().astype(np.float32) / 255, longest)


@pytest.mark.parametrize("size", [(180, 240), (1, 1), (3, 5000), (4000, 3000), (256, 256), (250, 33)])
def test_a_method_sees_sides_of_its_multiple_and_hardly_another_ratio(size):
    rules = InputRules(longest=256, multiple=32)
    h, w = rules.size(size)
    assert h % 32 == w % 32 == 0 and 32 <= max(h, w) <= 256
    if min(size) * 256 / max(size) > 32:
        assert max(h * size[1], w * size[0]) < 1.5 * min(h * size[1], w * size[0])
    assert InputRules(longest=256).size(size) == reduced_size(size, 256)
    assert InputRules(longest=64, square=True).size(size) == (64, 64)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("size", [(1, 1), (1, 320), (37, 211), (256, 256)])
def test_any_size_gives_small_finite_chroma_the_same_each_time(name, size):
    method = build(name, threads=1)
    grey = np.random.default_rng(0).random(size, np.float32)
    first, second = (method.chroma(grey, Hints(), Options()) for _ in range(2))
    assert first.ndim == 3 and first.shape[2] == 2 and first.dtype == np.float32
    assert first.shape[0] <= size[0] and first.shape[1] <= size[1]
    assert np.abs(first).max() <= 0.7
    assert np.array_equal(first, second)


@pytest.mark.parametrize("name", METHODS)
def test_hints_are_refused_clearly(name):
    with pytest.raises(HintsError, match="can't follow hints"):
        build(name).chroma(luma(), Hints((Point(1, 1, (255, 0, 0)),)), Options())


def test_unknown_names_list_the_known():
    with pytest.raises(UsageError, match="known: tint, grey, wash"):
        build("tnit")


def test_files_that_are_no_network_are_refused(tmp_path):
    with pytest.raises(ModelError, match="no file"):
        build(str(tmp_path / "missing.onnx"))
    (tmp_path / "text.onnx").write_text("not a network")
    with pytest.raises(ModelError, match="can't be loaded"):
        build(str(tmp_path / "text.onnx"))


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_tint_gives_the_same_chroma_whatever_the_threads(threads):
    options = Options()
    assert np.array_equal(
        build("tint", threads=threads).chroma(luma(), Hints(), options), build("tint").chroma(luma(), Hints(), options)
    )


def test_decodes_of_tint_mean_what_they_say():
    tint = build("tint")

    def spread(**options):
        return tint.chroma(luma(), Hints(), Options(**options))

    mode, warm = spread(decode="mode"), spread(temperature=9.0)
    far = [np.linalg.norm(spread(temperature=t) / tint.gain - mode, axis=-1).mean() for t in (1.0, 0.5, 0.1)]
    assert far[0] > far[1] > far[2], "the colder, the nearer to the mode"
    assert warm.std((0, 1)).max() < spread().std((0, 1)).max(), "a hot distribution is the same everywhere"
    one, same, other = (spread(decode="sample", seed=1, variant=v) for v in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.allclose(one, other, atol=1e-3), "variants differ"
    smooth = np.abs(np.diff(one, axis=1)).mean()
    assert smooth < 3 * np.abs(np.diff(spread(), axis=1)).mean(), "a sample is a colouring, not noise"


def test_a_vivid_colour_stands_where_the_mean_would():
    """And moves as it does when the classes are annealed: only the mean decode has no use for it."""
    method = build("tint")
    answer = method.answer(luma())
    method.vivid = 0.75
    vivid, light = answer["mean"][..., ::-1] + np.float32(0.01), np.full_like(luma(), 0.5)
    for decode in ("annealed", "sample"):
        with_, without = (
            method.decoded(given, light, Options(decode=decode))
            for given in ({**answer, "vivid": vivid}, {**answer, "vivid": answer["mean"]})
        )
        wanted = np.float32(0.75 * method.gain) * (vivid - answer["mean"])
        assert np.abs(with_ - without - wanted).max() < 1e-6
    with_, without = (
        method.decoded(given, luma(), Options(decode="mean"))
        for given in ({**answer, "vivid": vivid}, {**answer, "vivid": answer["mean"]})
    )
    assert np.array_equal(with_, without)


def test_the_gain_is_for_what_is_light():
    """From black to white it rises smoothly from 1, and luma itself plays no other part."""
    method = build("tint")
    answer = method.answer(luma())
    levels = np.linspace(0, 1, 51)
    told = [method.decoded(answer, np.full_like(luma(), level), Options()) for level in levels]
    gains = np.array([np.abs(chroma).sum() / np.abs(told[0]).sum() for chroma in told])
    assert np.allclose(gains[levels <= 0.05], 1, atol=1e-5)
    assert np.allclose(gains[levels >= 0.35], method.gain, atol=1e-5)
    assert (np.diff(gains) > -1e-6).all() and np.diff(gains).max() < 0.15 * (method.gain - 1)


@pytest.mark.parametrize("bad", [{"decode": "best"}, {"strength": 3}, {"strength": float("nan")}, {"temperature": -1}])
def test_options_out_of_range_are_refused(bad):
    with pytest.raises(ValueError, match="expected"):
        Options(**bad)
