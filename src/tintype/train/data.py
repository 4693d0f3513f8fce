"""Training pictures: Parquet packs decoded once into one flat file of pixels, then crops drawn from it.

A pack has the columns `image` (a picture file's bytes), `source` and `label`. Decoding WebP at every step would cost a
third of a core, so `build` writes the pixels once; afterwards a crop is a memory-mapped read and one Pillow resize.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import IterableDataset

#: A (source, label) pair with fewer pictures than this joins the rest of its source as one topic.
TOPIC_MIN = 30


@dataclass(frozen=True)
class Pack:
    """Decoded pictures: `pixels` is every picture's RGB bytes end to end, row `i` of `index` is (offset, height, width)."""

    pixels: NDArray[np.uint8]
    index: NDArray[np.int64]
    topic: NDArray[np.int64]
    source: NDArray[np.int64]
    topics: int

    def picture(self, i: int) -> NDArray[np.uint8]:
        """Picture `i`, (H, W, 3) uint8, a view."""
        at, h, w = self.index[i]
        return self.pixels[at : at + h * w * 3].reshape(h, w, 3)


def _decode(task: tuple[str, int, int, int]) -> list[tuple[NDArray[np.uint8], str, str]]:
    path, first, count, short = task
    rows = pq.read_table(path, columns=["image", "source", "label"]).slice(first, count).to_pylist()
    out = []
    for row in rows:
        im = Image.open(io.BytesIO(row["image"])).convert("RGB")
        if min(im.size) > short:
            scale = short / min(im.size)
            im = im.resize((round(im.width * scale), round(im.height * scale)), Image.Resampling.BOX)
        out.append((np.asarray(im), row["source"], row["label"] or ""))
    return out


def build(packs: list[Path], cache: Path, short: int = 168, workers: int = 2) -> None:
    """Decode `packs` into the folder `cache`, short side at most `short` pixels. Does nothing where that is done already."""
    recipe = {"packs": [p.name for p in packs], "short": short}
    done = cache / "recipe.json"
    if done.exists() and json.loads(done.read_text()) == recipe:
        return
    cache.mkdir(parents=True, exist_ok=True)
    tasks = [(str(p), at, 500, short) for p in packs for at in range(0, pq.read_metadata(p).num_rows, 500)]
    index: list[tuple[int, int, int]] = []
    names: list[tuple[str, str]] = []
    at = 0
    with ProcessPoolExecutor(workers) as pool, (cache / "pixels.u8").open("wb") as file:
        for part in pool.map(_decode, tasks):
            for pixels, source, label in part:
                file.write(pixels.tobytes())
                index.append((at, *pixels.shape[:2]))
                at += pixels.size
                names.append((source, label))
    topic, topics = _topics(names)
    source_number = np.unique([source for source, _ in names], return_inverse=True)[1]
    np.savez(cache / "index.npz", index=np.array(index), source=source_number, topic=topic, topics=topics)
    done.write_text(json.dumps(recipe))


def _topics(names: list[tuple[str, str]]) -> tuple[NDArray[np.int64], int]:
    """Topic numbers of pictures by (source, label), and how many there are: labels with few pictures count as their source."""
    counts = Counter(names)
    topics = [name if counts[name] >= TOPIC_MIN else (name[0], "") for name in names]
    number = {topic: i for i, topic in enumerate(sorted(set(topics)))}
    return np.array([number[topic] for topic in topics]), len(number)


def load(cache: Path) -> Pack:
    """Open what `build` wrote; the pixels stay on disk (and in the page cache) until they are drawn."""
    table = np.load(cache / "index.npz")
    pixels = np.memmap(cache / "pixels.u8", np.uint8, "r")
    return Pack(pixels, table["index"], table["topic"], table["source"], int(table["topics"]))


class Crops(IterableDataset[tuple[Tensor, Tensor, int]]):
    """An endless stream of random crops: (input luma (1, S, S) float in [0, 1], RGB (3, S, S) uint8, topic).

    Sources are drawn by the square root of their size, so that large ones do not rule. A crop keeps `area` of its
    picture and may be squeezed up to a third either way (part of the data was squeezed to a square at its home).
    Half of the inputs are spoiled as time spoils prints: tone, fading, blur, grain. The colours to predict stay.
    """

    def __init__(self, pack: Pack, size: int, area: tuple[float, float], spoil: float, seed: int) -> None:
        self.pack, self.size, self.area, self.spoil, self.seed = pack, size, area, spoil, seed
        counts = np.bincount(pack.source)
        weight = 1 / np.sqrt(counts[pack.source])
        self.cumulative = np.cumsum(weight / weight.sum())

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, int]]:
        worker = torch.utils.data.get_worker_info()
        rng = np.random.default_rng([self.seed, worker.id if worker else 0])
        while True:
            i = min(int(np.searchsorted(self.cumulative, rng.random())), len(self.cumulative) - 1)
            rgb = self.crop(self.pack.picture(i), rng)
            luma = np.asarray(rgb @ np.array([0.299, 0.587, 0.114]) / 255, np.float32)
            if rng.random() < self.spoil:
                luma = spoil(luma, rng)
            yield torch.from_numpy(luma[None]), torch.from_numpy(rgb).permute(2, 0, 1), int(self.pack.topic[i])

    def crop(self, picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        h, w = picture.shape[:2]
        side = np.sqrt(rng.uniform(*self.area)) * min(h, w)
        stretch = np.exp(rng.uniform(-0.29, 0.29))
        ch, cw = min(h, side / np.sqrt(stretch)), min(w, side * np.sqrt(stretch))
        y, x = rng.uniform(0, h - ch), rng.uniform(0, w - cw)
        im = Image.fromarray(picture).resize((self.size, self.size), Image.Resampling.BILINEAR, (x, y, x + cw, y + ch))
        out = np.asarray(im)
        return np.array(out[:, ::-1] if rng.random() < 0.5 else out)


def spoil(luma: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """A print's age on luma (H, W) in [0, 1]: gamma, contrast and fading always; blur and grain each three times in ten."""
    out = luma ** np.float32(np.exp(rng.uniform(-0.4, 0.4)))
    low, high = rng.uniform(0, 0.2), rng.uniform(0.75, 1)
    out = low + (high - low) * out
    if rng.random() < 0.3:
        out[:, 1:-1] = 0.25 * (out[:, :-2] + 2 * out[:, 1:-1] + out[:, 2:])
        out[1:-1] = 0.25 * (out[:-2] + 2 * out[1:-1] + out[2:])
    if rng.random() < 0.3:
        out = out + rng.normal(0, rng.uniform(0.005, 0.04), out.shape)
    return np.clip(out, 0, 1).astype(np.float32)
