"""Training pictures decoded once into one flat file of pixels: decoding at every step would cost a third of a core."""

from __future__ import annotations

import io
import json
import logging
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from tintype.errors import SaveError, UsageError
from tintype.picture.atomic import replacing
from tintype.train.sources import Member, members, places

#: A (source, label) pair with fewer pictures than this joins the rest of its source as one topic.
TOPIC_MIN = 30
#: Members that a worker decodes at a time, and how many such tasks are under way at most.
_CHUNK, _AHEAD = 64, 8
#: Of what is kept: a folder of another number is made anew.
_FORMAT = 2
#: A file with more pixels than this is no training picture.
_MOST_PIXELS = 10**8
#: Of the pictures that can't be decoded, so many are named; all are counted, and listed in skipped.txt.
_NAMED = 5

#: Pixels (H, W, 3), source, label.
Decoded = tuple[NDArray[np.uint8], str, str]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pack:
    """Decoded pictures: `pixels` is every picture's RGB bytes end to end, row `i` of `index` is (offset, height, width)."""

    pixels: NDArray[np.uint8]
    index: NDArray[np.int64]
    topic: NDArray[np.int64]
    source: NDArray[np.int64]
    topics: int
    skipped: int = 0
    names: tuple[str, ...] = ()  #: of the sources, by their numbers
    views: NDArray[np.float32] | None = None  #: (N, K): what a classifier says of each picture; see train.views

    def __len__(self) -> int:
        return len(self.index)

    def picture(self, i: int) -> NDArray[np.uint8]:
        """Picture `i`, (H, W, 3) uint8, a view."""
        at, h, w = self.index[i]
        return self.pixels[at : at + h * w * 3].reshape(h, w, 3)


def pack_of(names: Iterable[str], folder: Path, short: int, workers: int = 2, held: bool = False) -> Pack:
    """The pictures of all places called `names`, decoded into `folder` unless they are there already, short side at most `short` pixels.

    `held`: as sources.members. What can't be decoded is left out, counted, and listed in the folder's skipped.txt. Of several processes that ask at once,
    one decodes. Raises UsageError where a place can't be read or nothing is left, and SaveError where `folder` can't be written.
    """
    found = [p for name in names for p in places(name)]
    recipe = {"format": _FORMAT, "places": [[p.path, p.key] for p in found], "short": short, "held": held}
    done = folder / "recipe.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "lock"):
            if not (done.exists() and json.loads(done.read_text()) == recipe):
                done.unlink(missing_ok=True)
                _write(_decoded((m for p in found for m in members(p, held)), short, workers), folder)
                with replacing(done, overwrite=True) as part:
                    part.write_text(json.dumps(recipe))
    except OSError as error:
        raise SaveError(folder, f"can't be written: {error.strerror or error}") from None
    table = np.load(folder / "index.npz")
    if not len(table["index"]):
        raise UsageError(f"{', '.join(names)}: no picture there can be decoded; see {folder / 'skipped.txt'}")
    pixels = np.memmap(folder / "pixels.u8", np.uint8, "r")
    fields = (table["index"], table["topic"], table["source"], int(table["topics"]), int(table["skipped"]))
    return Pack(pixels, *fields, tuple(table["names"].tolist()))


def _write(pictures: Iterator[Decoded | str], folder: Path) -> None:
    index: list[tuple[int, int, int]] = []
    names: list[tuple[str, str]] = []
    skipped: list[str] = []
    at = 0
    part = folder / "pixels.part"  # another run may be reading the file that is there
    with part.open("wb") as file:
        for picture in pictures:
            if isinstance(picture, str):
                skipped.append(picture)
                continue
            pixels, source, label = picture
            file.write(pixels.tobytes())
            index.append((at, *pixels.shape[:2]))
            at += pixels.size
            names.append((source, label))
        if not at:
            file.write(b"\0")  # an empty file can't be mapped
    part.replace(folder / "pixels.u8")
    (folder / "skipped.txt").write_text("".join(f"{line}\n" for line in skipped))
    if skipped:
        named = "; ".join(skipped[:_NAMED]) + (" ..." if len(skipped) > _NAMED else "")
        _LOG.warning("left out, as they can't be decoded (pictures: %d): %s", len(skipped), named)
    topic, topics = _topics(names)
    sources, number = np.unique(np.array([source for source, _ in names], np.str_), return_inverse=True)
    table: dict[str, Any] = {
        "index": np.array(index, np.int64).reshape(-1, 3),
        "source": number,
        "topic": topic,
        "topics": topics,
    }
    np.savez(folder / "index.npz", allow_pickle=False, **table, names=sources, skipped=len(skipped))


def _decoded(stream: Iterator[Member | str], short: int, workers: int) -> Iterator[Decoded | str]:
    """Pictures in order, or why one is none. A few chunks are under way at a time, so that memory does not grow with the places."""
    chunks = iter(lambda: list(islice(stream, _CHUNK)), [])
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        under_way: deque[Future[list[Decoded | str]]] = deque()
        for chunk in chunks:
            under_way.append(pool.submit(decoded, chunk, short))
            if len(under_way) >= _AHEAD:
                yield from under_way.popleft().result()
        for task in under_way:
            yield from task.result()


def decoded(chunk: list[Member | str], short: int) -> list[Decoded | str]:
    """The pictures of some members, short side at most `short` pixels; of each that is none, why."""
    out: list[Decoded | str] = []
    for member in chunk:
        if isinstance(member, str):
            out.append(member)
            continue
        try:
            out.append((_pixels(member.data, short), member.source, member.label))
        except UnidentifiedImageError:  # whose text names an object in memory
            out.append(f"{member.name}: is no picture, or of a kind that is not read here")
        except Exception as error:  # a decoder may raise anything on broken data
            out.append(f"{member.name}: {' '.join(str(error).split()) or type(error).__name__}")
    return out


def some_of(names: Sequence[str], count: int, short: int) -> Iterator[NDArray[np.uint8]]:
    """About `count` pictures (H, W, 3), short side at most `short`: as many from the beginning of each of the places called `names`. What can't be read is left out."""
    found = [place for name in names for place in places(name)]
    for place in found:
        stream = islice(members(place), -(-count // len(found)))
        while chunk := list(islice(stream, _CHUNK)):
            yield from (picture[0] for picture in decoded(chunk, short) if not isinstance(picture, str))


def rgb_of(image: Image.Image) -> Image.Image:
    """An opened picture as RGB, upright, with 8 bits."""
    upright: Image.Image = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):  # 16-bit grey, which Pillow's own conversion clips to white
        deep = np.asarray(upright)
        upright = Image.fromarray((deep.astype(np.int64).clip(0, 65535) >> 8).astype(np.uint8))
    return upright.convert("RGB")


def _pixels(data: bytes | NDArray[np.uint8], short: int) -> NDArray[np.uint8]:
    """A member's pixels (H, W, 3), upright, short side at most `short`."""
    if isinstance(data, np.ndarray):
        image = Image.fromarray(data)
    else:
        image = Image.open(io.BytesIO(data))
        if image.width * image.height > _MOST_PIXELS:
            raise ValueError(f"has {image.width} x {image.height} pixels")
        image.draft("RGB", (short, short))
        image = rgb_of(image)
    if min(image.size) > short:
        scale = short / min(image.size)
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BOX)
    return np.asarray(image)


def _topics(names: list[tuple[str, str]]) -> tuple[NDArray[np.int64], int]:
    """Topic numbers of pictures by (source, label), and how many there are: labels with few pictures count as their source."""
    counts = Counter(names)
    topics = [name if counts[name] >= TOPIC_MIN else (name[0], "") for name in names]
    number = {topic: i for i, topic in enumerate(sorted(set(topics)))}
    return np.array([number[topic] for topic in topics], np.int64), len(number)
