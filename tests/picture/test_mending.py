"""Mended blocks hardly change grey, and keep their colour."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image

import tintype
from tintype.picture import blocks, coefficients, mending
from tintype.picture.dct import Coder
from tintype.picture.gamut import fit
from tintype.picture.segments import parse

SHARED = Path(__file__).parents[3] / "shared" / "data" / "historic"
Float = NDArray[np.float32]


def leaves(name: str) -> NDArray[np.uint8]:
    """Luma of a photograph, cut to whole blocks of 4:2:0, with a pixel more on each side."""
    if name in ("camera", "astronaut", "coffee"):
        image = Image.fromarray(getattr(skimage.data, name)())
    else:
        path = SHARED / f"{name}.jpg"
        if not path.exists():
            pytest.skip("no pictures in ../shared/data/historic: they are not part of the repository")
        image = Image.open(path)
    luma = np.asarray(image.convert("L"))
    return np.pad(luma[: luma.shape[0] // 16 * 16, : luma.shape[1] // 16 * 16], 1, "edge")


def decoded(cb: NDArray[np.int16], cr: NDArray[np.int16], coder: Coder) -> Float:
    """Cb and Cr (2, N, 64) in levels."""
    return coder.decode(np.stack([cb, cr]).reshape(2, -1, 64).astype(np.float32))


@pytest.mark.parametrize("sampling", [1, 2])
@pytest.mark.parametrize("name", ["camera", "astronaut", "coffee", "Killarney1910", "CorkKids1910"])
@pytest.mark.parametrize("color", [(-0.08, 0.02), (0.05, -0.04), (-0.05, 0.06)])
def test_blocks_keep_their_colour_and_their_grey(name: str, sampling: int, color: tuple[float, float]) -> None:
    file = BytesIO()
    Image.fromarray(leaves(name)[1:-1, 1:-1]).save(file, "JPEG", quality=90)
    stored, table = coefficients.read_luma(file.getvalue(), parse(file.getvalue()).frame)
    luma = np.asarray(Image.open(file)).astype(int)
    padded = np.pad(luma.astype(np.uint8), 1, "edge")
    reach = blocks.reach_of(padded, sampling)
    chroma = np.broadcast_to(np.array(color, np.float32), (*reach.mean.shape, 2))
    for fine in (False, True):
        coder_table = blocks.chroma_table(table, fine)
        coder = Coder(coder_table)
        cb, cr, flat = blocks.code(reach, chroma, coder)
        if not blocks.too_flat(flat, padded.shape, sampling):
            break
    got = decoded(cb, cr, coder)

    wanted = fit(reach.low / np.float32(255), reach.high / np.float32(255), chroma) * 255
    means = blocks._blocks(np.ascontiguousarray(np.moveaxis(wanted, -1, 0))).mean(2)
    off = np.hypot(*(got.mean(2) - means))
    lost = 0.03 if sampling == 2 else 0.08
    assert (off > 4).mean() < lost and (off > 8).mean() < lost

    coded = coefficients.write((luma.shape[0], luma.shape[1]), (stored, cb, cr), (table, coder_table), sampling)
    seen = np.asarray(Image.open(BytesIO(coded)).convert("L")).astype(int)
    off = abs(seen - luma)
    assert (off > 0).mean() < 0.004 and off.max() <= 2


def test_a_pixel_is_the_mean_of_the_samples_around_it_as_libjpeg_mixes_them(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(60, 200, (8, 8)).astype(np.float32)
    rgb = Image.new("YCbCr", (16, 16))
    rgb.putdata([(128, int(samples[y // 2, x // 2]), 128) for y in range(16) for x in range(16)])
    rgb.save(tmp_path / "x.jpg", "JPEG", subsampling=2, qtables=[[1] * 64] * 2)
    with Image.open(tmp_path / "x.jpg") as image:
        image.draft("YCbCr", image.size)
        got = np.asarray(image)[..., 1].astype(float)
    up = mending.upsampling(2)
    expected = (samples.reshape(1, 64) @ up.weights)[:, up.own].reshape(16, 16)
    assert np.abs(got - expected).max() <= 2


def test_a_block_that_can_have_no_colour_gets_none() -> None:
    padded = np.where(np.add.outer(np.arange(66), np.arange(66)) % 2, 255, 0).astype(np.uint8)
    reach = blocks.reach_of(padded, 2)
    coder = Coder(np.full((8, 8), 5, np.uint16))
    cb, cr, _ = blocks.code(reach, np.full((32, 32, 2), 0.2, np.float32), coder)
    assert not cb.any() and not cr.any()


@pytest.mark.parametrize("share", [0.1, 0.5])
@pytest.mark.parametrize("quality", [95, 50])
def test_noise_of_black_and_white_stays_so(share: float, quality: int, tmp_path: Path) -> None:
    # Every pixel clips at the least colour, and halves are common: each rounding must be the decoder's.
    noise = Image.fromarray((np.random.default_rng(0).random((128, 128)) > share).astype(np.uint8) * 255)
    noise.save(tmp_path / "noise.jpg", quality=quality)
    tintype.Colorizer("wash").colorize(tintype.open(tmp_path / "noise.jpg")).save(tmp_path / "out.jpg", chroma="444")
    before, after = (
        np.asarray(Image.open(tmp_path / name).convert("L")).astype(int) for name in ("noise.jpg", "out.jpg")
    )
    assert (before != after).mean() < 0.005 and abs(before - after).max() <= 2
