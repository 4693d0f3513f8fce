"""Fréchet distances against scipy and by hand; distances of pictures; and where the networks' weights come from."""

from __future__ import annotations

import dataclasses
import importlib.util
import io
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import skimage.data
import torch
from PIL import Image, ImageFilter

from tintype.cards import CARDS
from tintype.errors import ModelError, UsageError
from tintype.evaluate import perceptual
from tintype.evaluate.metrics import View
from tintype.evaluate.perceptual import Gaussian, distance_of, features_of, frechet
from tintype.nets.alexnet import AlexNetFeatures
from tintype.nets.inception_fid import InceptionFid
from tintype.nets.lpips import ALEX, Weighing
from tintype.weights import sha256_of

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"


def gaussian(points):
    """Of points (N, D), or numbers (N,)."""
    points = np.asarray(points, float).reshape(len(points), -1)
    made = Gaussian(points.shape[1])
    made.update(points)
    return made


def grey(rgb):
    return np.array(Image.fromarray(rgb).convert("L").convert("RGB"))


def jpeg(rgb, quality=90):
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "jpeg", quality=quality, subsampling=0)
    return np.array(Image.open(file))


def blurred(rgb, radius):
    return np.array(Image.fromarray(rgb).filter(ImageFilter.GaussianBlur(radius)))


@pytest.fixture(scope="module")
def photographs():
    """Parts of photographs, of several sizes."""
    whole = (skimage.data.astronaut(), skimage.data.chelsea(), skimage.data.coffee(), skimage.data.rocket())
    rng, parts = np.random.default_rng(0), []
    for number in range(48):
        picture = whole[number % 4]
        side = int(rng.integers(120, 280))
        y, x = rng.integers(0, picture.shape[0] - side), rng.integers(0, picture.shape[1] - side)
        parts.append(np.array(picture[y : y + side, x : x + side]))
    return parts


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Empty, but for what `put` files there as a card's weights."""
    monkeypatch.setenv("TINTYPE_HOME", str(tmp_path))
    (tmp_path / "weights").mkdir()

    def put(name, state):
        path = tmp_path / "weights" / CARDS[name].file
        torch.save(state, path)
        monkeypatch.setitem(CARDS, name, dataclasses.replace(CARDS[name], sha256=sha256_of(path)))

    return put


# --- Fréchet distances ------------------------------------------------------------------------------------------------


def test_one_dimension_by_hand():
    # Means 1 and 6, variances 2 and 18: 5^2 + (sqrt 18 - sqrt 2)^2.
    assert frechet(gaussian([0, 2]), gaussian([3, 9])) == pytest.approx(25 + 8)


@pytest.mark.parametrize("dimension", [1, 5, 40])
def test_it_is_scipys(dimension):
    rng = np.random.default_rng(dimension)
    a, b = (rng.normal(size=(300, dimension)) @ rng.normal(size=(dimension, dimension)) for _ in range(2))
    b = b + rng.normal(size=dimension)
    one, other = np.atleast_2d(np.cov(a.T)), np.atleast_2d(np.cov(b.T))
    root = scipy.linalg.sqrtm(one @ other).real
    expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(one + other - 2 * root)
    assert frechet(gaussian(a), gaussian(b)) == pytest.approx(expected, rel=1e-8)
    assert frechet(gaussian(b), gaussian(a)) == pytest.approx(expected, rel=1e-8)


def test_fewer_pictures_than_dimensions():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(10, 200))
    assert 0 <= frechet(gaussian(a), gaussian(a)) < 1e-9
    assert frechet(gaussian(a), gaussian(a + 0.5)) == pytest.approx(200 * 0.25, abs=1e-9)
    # Nothing in common: 10 pictures along other axes.
    first, second = np.zeros((2, 10, 40))
    first[:, :10], second[:, 20:30] = a[:, :10], a[:, 10:20]
    apart = np.sum((first.mean(0) - second.mean(0)) ** 2) + first.var(0, ddof=1).sum() + second.var(0, ddof=1).sum()
    assert frechet(gaussian(first), gaussian(second)) == pytest.approx(apart, rel=1e-9)


def test_small_samples_of_one_distribution_are_further_apart():
    rng = np.random.default_rng(0)
    near = [frechet(*(gaussian(rng.normal(size=(n, 20))) for _ in range(2))) for n in (30, 300, 3000)]
    assert near[0] > 3 * near[1] > 9 * near[2] > 0


def test_bit_by_bit_is_at_once():
    rng = np.random.default_rng(0)
    points = (rng.normal(size=(57, 6)) * 3 + 1000).astype(np.float32)
    parts, other = Gaussian(6), Gaussian(6)
    for part in (points[:1], points[1:1], points[1:20]):
        parts.update(part)
    other.update(points[20:])
    parts.merge(other)
    parts.merge(Gaussian(6))
    assert parts.count == 57
    assert np.allclose(parts.mean, points.mean(0, dtype=float), rtol=1e-12)
    assert np.allclose(parts.covariance, np.cov(points.T.astype(float)), rtol=1e-9)


def test_points_that_do_not_differ():
    assert frechet(gaussian(np.ones((3, 4))), gaussian(np.full((5, 4), 2.0))) == pytest.approx(4)


def test_one_picture_has_no_covariance():
    with pytest.raises(ValueError, match="two pictures"):
        frechet(gaussian([1]), gaussian([1, 2]))


# --- networks in files ------------------------------------------------------------------------------------------------


class MeanColour(torch.nn.Module):
    def forward(self, rgb):
        return rgb.mean((2, 3)) + 0 * rgb[:, :, 223, 223]


def test_a_torchscript_file(tmp_path):
    path = tmp_path / "mean.ts"
    torch.jit.save(torch.jit.script(MeanColour()), path)
    features = features_of(str(path))
    assert (features.name, features.title, features.dimension) == ("mean", "mean.ts", 3)
    pictures = [
        np.full((h, w, 3), colour, np.uint8) for h, w, colour in ((30, 40, (255, 51, 0)), (500, 300, (0, 0, 102)))
    ]
    found = features(pictures * 20)
    assert found.dtype == np.float32 and found.shape == (40, 3)
    assert np.allclose(found, [[1, 0.2, 0], [0, 0, 0.4]] * 20, atol=1e-5)
    assert features([]).shape == (0, 3)


def test_files_that_are_none(tmp_path):
    class Flat(torch.nn.Module):
        def forward(self, rgb):
            return rgb

    (tmp_path / "text.ts").write_text("no network")
    torch.jit.save(torch.jit.script(Flat()), tmp_path / "map.ts")
    for name in ("text.ts", "map.ts", "missing.ts"):
        with pytest.raises(ModelError, match=name) as error:
            features_of(str(tmp_path / name))
        assert "\n" not in str(error.value)


@pytest.mark.skipif(not (SHARED / "judge").is_dir(), reason="the judge (../shared/judge) is not here")
def test_the_judge_becomes_such_a_file(tmp_path, photographs):
    spec = importlib.util.spec_from_file_location("judge", ROOT / "benchmarks" / "judge.py")
    judge = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(judge)
    net = judge.load(SHARED / "judge", SHARED / "teacher")
    torch.jit.save(judge.traced(net), tmp_path / "judge.ts")
    features = features_of(str(tmp_path / "judge.ts"))
    found = features(photographs[:3])
    assert features.dimension == 1280 and found.min() >= 0 and found.max() <= 6
    with torch.inference_mode():
        expected = net(torch.stack([features.seen(rgb) for rgb in photographs[:3]])).numpy()
    assert np.allclose(found, expected, atol=1e-4)


# --- public weights ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "name", "missing"),
    [
        (features_of, "fid-inception", "fid-inception"),
        (distance_of, "lpips-alex", "alexnet"),
        (distance_of, "lpips-vgg", "vgg16"),
    ],
)
def test_missing_weights_are_said_with_the_remedy(cache, build, name, missing):
    with pytest.raises(ModelError, match=f"tintype models get {missing}"):
        build(name)


@pytest.mark.parametrize("build", [features_of, distance_of])
def test_unknown_names(build):
    with pytest.raises(UsageError, match=r"did you mean features\?"):
        build("feature")


class Code:
    """What must not run when weights are read."""

    def __reduce__(self):
        return print, ("ran",)


def test_weights_that_are_programs_are_refused(cache, capsys):
    cache("fid-inception", {"code": Code()})
    with pytest.raises(ModelError, match="a program instead of numbers"):
        features_of("fid-inception")
    assert "ran" not in capsys.readouterr().out


def test_other_networks_weights_are_refused(cache):
    cache("fid-inception", AlexNetFeatures().state_dict())
    with pytest.raises(ModelError, match="no weights of fid-inception"):
        features_of("fid-inception")


def test_fids_features_are_the_networks(cache, photographs):
    torch.manual_seed(0)
    net = InceptionFid().eval()
    cache("fid-inception", net.state_dict())
    features = features_of("fid-inception")
    some = [photographs[0], photographs[1]]
    assert some[0].shape != some[1].shape
    found = features(some)
    assert found.shape == (2, features.dimension) == (2, 2048)
    with torch.inference_mode():
        for rgb, row in zip(some, found, strict=True):  # each at its own size, resized by the network
            alone = net.features(torch.from_numpy(rgb).permute(2, 0, 1)[None] / 255)[0].numpy()
            assert np.abs(alone - row).max() < 1e-4 * np.abs(alone).max()


# --- distances of pictures --------------------------------------------------------------------------------------------


@pytest.fixture
def lpips(monkeypatch):
    """LPIPS on an AlexNet that has learned nothing, every channel counting the same."""
    torch.manual_seed(0)
    weights = {name: torch.ones_like(value) for name, value in Weighing(ALEX).state_dict().items()}
    states = {"alexnet": AlexNetFeatures().state_dict(), "lpips-alex": weights}
    monkeypatch.setattr(perceptual, "_state", states.__getitem__)
    return distance_of("lpips-alex")


def check_distance(distance, rgb):
    """What any distance of pictures must do."""
    assert distance(rgb, rgb) == 0
    far = [distance(blurred(rgb, radius), rgb) for radius in (0.5, 1.5, 4)]
    assert 0 < far[0] < far[1] < far[2]
    assert distance(rgb, blurred(rgb, 4)) == pytest.approx(far[2], rel=1e-4)
    with pytest.raises(ValueError, match="the same size"):
        distance(rgb, rgb[1:])


def test_lpips(lpips, photographs):
    check_distance(lpips, photographs[1])


def test_a_distance_is_a_column_of_a_report(lpips, photographs):
    measure = lpips.measure
    assert (measure.name, measure.better, measure.unit) == ("distance lpips-alex", "lower", "")
    a, b = photographs[0], grey(photographs[0])
    assert measure.of(View(b), View(a)) == lpips(b, a) > 0


def test_own_distance(photographs):
    distance = distance_of("features")
    check_distance(distance, photographs[1])
    assert "not LPIPS" in distance.about and "LPIPS" not in distance.title
    for rgb in photographs[:4]:
        assert distance(grey(rgb), rgb) > 2 * distance(jpeg(rgb), rgb)


def test_own_features_see_that_colour_is_gone(photographs):
    features = features_of("features")
    assert "tintype" in features.title.lower()
    original = gaussian(features(photographs))
    far = {change: frechet(original, gaussian(features([change(p) for p in photographs]))) for change in (grey, jpeg)}
    assert far[grey] > 3 * far[jpeg] > 0
    assert frechet(original, gaussian(features(photographs[::-1]))) < 1e-3 * far[jpeg]
