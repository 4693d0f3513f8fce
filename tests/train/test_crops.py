"""Crops: what they show, how often each picture comes, and that they depend on nothing but their number."""

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data as photographs

from tintype.errors import UsageError
from tintype.train import losses
from tintype.train.cache import Pack, pack_of
from tintype.train.crops import Crops, Cut, Whole, everything, split


def pack_from(pictures, sources):
    """A pack of pictures (H, W, 3) in memory."""
    sizes = [p.size for p in pictures]
    index = [(at, *p.shape[:2]) for at, p in zip(np.cumsum([0, *sizes[:-1]]), pictures, strict=True)]
    zeros = np.zeros(len(pictures), np.int64)
    return Pack(np.concatenate([p.ravel() for p in pictures]), np.array(index), zeros, np.array(sources), 1)


@pytest.fixture(scope="module")
def pack(folder, tmp_path_factory):
    return pack_of([str(folder)], tmp_path_factory.mktemp("cache"), 80)


@pytest.mark.parametrize("cut", [Cut(48), Cut(48, (0.3, 1.0), 0.29), Cut(48, (0.3, 1.0), balance=0.5)])
def test_crops_keep_colour_and_luma_together(pack, cut):
    crops = Crops(pack, everything(pack), cut, 0, 20)
    assert len(crops) == 20
    for i in range(20):
        crop = crops[i]
        assert crop["rgb"].shape == (3, 48, 48) and crop["rgb"].dtype == torch.uint8
        expected, _ = losses.split(crop["rgb"][None].float() / 255)
        assert torch.allclose(crop["luma"], expected[0], atol=1e-3)


def test_a_crop_depends_on_seed_epoch_and_number_alone(pack):
    cut = Cut(32, (0.3, 1.0), spoil=0.5, balance=0.3)

    def crop(i, cut=cut, epoch=0, count=20):
        return Crops(pack, everything(pack), cut, epoch, count)[i]["luma"]

    assert torch.equal(crop(7), crop(7)) and torch.equal(crop(7), crop(7, count=9))
    for other in (crop(8), crop(7, epoch=1), crop(7, Cut(32, (0.3, 1.0), spoil=0.5, balance=0.3, seed=1))):
        assert not torch.equal(crop(7), other)


def test_without_balance_every_picture_comes_once_before_any_comes_again():
    greys = [np.full((8, 8, 3), 10 * k, np.uint8) for k in range(12)]
    crops = Crops(pack_from(greys, [0] * 12), np.arange(2, 12), Cut(8), 0, 30)
    seen = [int(crops[i]["rgb"][0, 0, 0]) // 10 for i in range(30)]
    assert all(sorted(seen[at : at + 10]) == list(range(2, 12)) for at in (0, 10, 20))
    assert seen[:10] != seen[10:20]


@pytest.mark.parametrize("balance", [0.25, 0.5, 1.0])
def test_balance_draws_a_source_by_a_power_of_its_size(balance):
    # Sources 0 and 2 with 90 and 10 pictures; source 1 has none among the rows.
    pictures = [np.full((2, 2, 3), 200 * (k < 10), np.uint8) for k in range(101)]
    pack = pack_from(pictures, [2] * 10 + [0] * 90 + [1])
    crops = Crops(pack, np.arange(100), Cut(2, balance=balance), 0, 4000)
    share = np.mean([int(crops[i]["rgb"][0, 0, 0]) > 100 for i in range(4000)])
    expected = 10 ** (1 - balance) / (10 ** (1 - balance) + 90 ** (1 - balance))
    assert share == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (20, 30)])
@pytest.mark.parametrize("area", [None, (0.2, 1.0)])
def test_a_picture_smaller_than_the_crop_is_enlarged(size, area):
    picture = np.asarray(Image.fromarray(photographs.coffee()).resize(size))
    crops = Crops(pack_from([picture], [0]), np.array([0]), Cut(64, area, 0.3 if area else 0), 0, 20)
    for i in range(20):
        rgb = crops[i]["rgb"]
        assert rgb.shape == (3, 64, 64)
        beyond = 25 if area else 0  # a crop's bicubic enlargement goes a little beyond
        assert int(picture.min()) - beyond <= int(rgb.min()) and int(rgb.max()) <= int(picture.max()) + beyond


def test_pictures_to_validate_are_whole_and_apart(pack):
    rows, held = split(pack, 0.1, 512, seed=0)
    assert len(held) == 6 and sorted([*rows, *held]) == list(range(60))
    assert len(split(pack, 0.5, 4, seed=0)[1]) == 4 and len(split(pack, 0.0, 4, seed=0)[1]) == 1
    assert not np.array_equal(held, split(pack, 0.1, 512, seed=1)[1])
    whole = Whole(pack, held, 40)
    expected = Image.fromarray(pack.picture(int(held[2]))).resize((40, 40), Image.Resampling.BILINEAR)
    assert len(whole) == 6 and np.array_equal(whole[2]["rgb"].permute(1, 2, 0).numpy(), np.asarray(expected))
    with pytest.raises(UsageError, match="one picture is not enough"):
        split(pack_from([pack.picture(0)], [0]), 0.1, 512, seed=0)
