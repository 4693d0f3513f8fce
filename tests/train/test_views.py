"""A classifier's views are computed once for each picture and each classifier, and what was computed is not lost."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from tintype.train import views
from tintype.train.cache import pack_of


class Mean(nn.Module):
    """Says three times how bright a picture is. `seen`: how many pictures it was shown; it fails beyond `patience`."""

    def __init__(self, patience=10**9):
        super().__init__()
        self.seen, self.patience = 0, patience

    def forward(self, rgb):
        assert rgb.shape[1:] == (3, views.SIDE, views.SIDE)
        self.seen += len(rgb)
        if self.seen > self.patience:
            raise KeyboardInterrupt
        return rgb.mean((2, 3))


def pack(folder, tmp_path, name="pack"):
    return pack_of([str(folder)], tmp_path / name, 40)


def test_each_picture_is_seen_once_by_each_classifier(folder, tmp_path):
    pictures, first = pack(folder, tmp_path), Mean()
    found = views.views(pictures, first, "a" * 64, tmp_path)
    assert found.shape == (len(pictures), 3) and first.seen == len(pictures)
    brightness = [
        np.asarray(Image.fromarray(pictures.picture(i)).convert("L")).mean() / 255 for i in range(len(pictures))
    ]
    assert np.corrcoef(found[:, 0], brightness)[0, 1] > 0.98
    again, other = Mean(), Mean()
    assert np.array_equal(views.views(pictures, again, "a" * 64, tmp_path), found) and again.seen == 0
    views.views(pictures, other, "b" * 64, tmp_path)
    assert other.seen == len(pictures)


def test_they_go_by_the_pictures_content(folder, tmp_path):
    few, more = tmp_path / "few", tmp_path / "more"
    for where, names in ((few, sorted(folder.glob("*.png"))[:5]), (more, sorted(folder.glob("*.png"))[:6])):
        where.mkdir()
        for number, path in enumerate(reversed(names)):  # under other names
            (where / f"{number}.png").write_bytes(path.read_bytes())
    first, second = Mean(), Mean()
    before = views.views(pack(few, tmp_path, "1"), first, "a" * 64, tmp_path)
    after = views.views(pack(more, tmp_path, "2"), second, "a" * 64, tmp_path)
    assert (first.seen, second.seen) == (5, 1)
    assert np.array_equal(after[1:], before)


def test_what_was_seen_before_an_interruption_is_kept(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(views, "_FILE", 16)
    pictures = pack(folder, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        views.views(pictures, Mean(patience=40), "a" * 64, tmp_path)
    rest = Mean()
    assert torch.isfinite(torch.from_numpy(views.views(pictures, rest, "a" * 64, tmp_path))).all()
    assert rest.seen == len(pictures) - 32
