"""Real photographs, and a chroma that colours them vividly."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data

from tintype.picture.picture import ColoredPicture, Picture


class Vivid:
    """Smooth, strong colours that depend on the place alone."""

    def rows(self, luma, top, step=(1, 1)):
        y = (np.arange(top, top + luma.shape[0]) * step[0])[:, None]
        x = (np.arange(luma.shape[1]) * step[1])[None]
        chroma = np.stack([0.4 * np.sin(y / 17 + x / 31), 0.4 * np.cos(x / 23 - y / 41)], -1)
        return chroma.astype(np.float32)


@pytest.fixture
def color():
    """A picture, coloured vividly."""

    def colored(picture: Picture) -> ColoredPicture:
        return ColoredPicture(picture, tuple(Vivid() for _ in picture.pages), "vivid", "0" * 64)

    return colored


@pytest.fixture(scope="session")
def gray():
    """A photograph's luma (197, 311) uint8."""
    return np.ascontiguousarray(skimage.data.camera()[100:297, 150:461])


@pytest.fixture(scope="session")
def gray16(gray):
    """The same in 16 bits, its low bits used."""
    noise = np.random.default_rng(1).integers(0, 257, gray.shape)
    return (gray.astype(np.uint32) * 256 + noise).clip(0, 65535).astype(np.uint16)


@pytest.fixture(scope="session")
def rgb():
    """A colour photograph (197, 311, 3) uint8."""
    return np.ascontiguousarray(skimage.data.astronaut()[:197, 100:411])
