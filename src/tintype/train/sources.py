"""Where training pictures come from: Parquet packs, folders, tar shards, CIFAR-10; on disk or at any URL that fsspec opens.

Everything becomes a stream of members. A member is a picture's file, still coded, or (CIFAR) its pixels.
"""

from __future__ import annotations

import io
import pickle
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any

import fsspec
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tintype.errors import UsageError

#: Endings of picture files.
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".jpe", ".jfif", ".avif", ".jp2")
_TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
#: Rows of a Parquet file that are in memory at once.
_ROWS = 256
_CIFAR = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class Member:
    """A picture: its `name` for messages, a file's bytes or pixels (H, W, 3) uint8, and what is known of it ("" for nothing)."""

    name: str
    data: bytes | NDArray[np.uint8]
    source: str = ""
    label: str = ""


@dataclass(frozen=True)
class Place:
    """Something that holds pictures, opened: its file system, its path there, and `key`, which changes when its content does."""

    system: fsspec.AbstractFileSystem
    path: str
    key: str


def places(name: str) -> list[Place]:
    """The files that `name` stands for: itself, a pattern with *, or what lies in the folder of that name.

    In a folder, `train-*.parquet` go before other packs, packs before tar shards, and those before pictures. Raises
    UsageError where there is nothing.
    """
    try:
        system, path = fsspec.core.url_to_fs(name)
        if "*" in path:
            found = system.glob(path)
        elif system.isdir(path):
            found = _in_folder(system, path)
        else:
            found = [path] if system.exists(path) else []
    except (
        OSError,
        ValueError,
        ImportError,
    ) as error:  # the last two for protocols that are unknown, or need another package
        raise UsageError(f"{name}: can't be read: {error}") from None
    if not found:
        raise UsageError(f"{name}: holds no Parquet pack, tar shard or picture, or does not exist")
    return [Place(system, p, _key(system, p)) for p in sorted(found)]


def _key(system: fsspec.AbstractFileSystem, path: str) -> str:
    """What changes when the file does; "" where there is none, as at the end of a dangling link."""
    try:
        return str(system.ukey(path))
    except OSError:
        return ""


def _in_folder(system: fsspec.AbstractFileSystem, path: str) -> list[str]:
    files = [str(p) for p in system.find(path)]
    packs = [p for p in files if p.endswith(".parquet")]
    for group in (
        [p for p in packs if PurePosixPath(p).name.startswith("train-")],
        packs,
        [p for p in files if p.lower().endswith(_TARS)],
    ):
        if group:
            return group
    return [p for p in files if p.lower().endswith(PICTURES)]


def members(place: Place, held: bool = False) -> Iterator[Member | str]:
    """The pictures of a place, in its own order; a text instead names a picture that can't be read, and says why.

    `held`: of CIFAR-10's archives, which have both, those to test on, not those to train on.

    Raises UsageError where the place is no pack, shard or picture, or a pack or shard ends too early.
    """
    name = place.path.lower()
    try:
        if name.endswith(PICTURES):
            yield _of_file(place)
        elif name.endswith(".parquet"):
            yield from _of_pack(place)
        elif name.endswith(_TARS):
            yield from _of_tar(place, held)
        else:
            raise UsageError(f"{place.path}: is no Parquet pack, tar shard or picture")
    except (OSError, EOFError, tarfile.TarError, ValueError) as error:
        raise UsageError(f"{place.path}: can't be read to its end: {error}") from None


def _of_file(place: Place) -> Member | str:
    """One picture; its folder is its source. Links may lead nowhere, and files may be forbidden."""
    try:
        return Member(place.path, place.system.cat_file(place.path), PurePosixPath(place.path).parent.name)
    except OSError as error:
        return f"{place.path}: {error.strerror or error}"


def _of_pack(place: Place) -> Iterator[Member]:
    """Columns `image` (a picture's file) and, where they are there, `source` and `label`."""
    with place.system.open(place.path, "rb") as file:
        pack = pq.ParquetFile(file)
        columns = [c for c in ("image", "source", "label") if c in pack.schema_arrow.names]
        if "image" not in columns:
            raise ValueError(f"it has no column `image`, only {', '.join(pack.schema_arrow.names)}")
        number = 0
        for batch in pack.iter_batches(_ROWS, columns=columns):
            for row in batch.to_pylist():
                label = row.get("label")
                data = row["image"]["bytes"] if isinstance(row["image"], dict) else row["image"]
                yield Member(
                    f"{place.path}[{number}]", data, row.get("source") or "", "" if label is None else str(label)
                )
                number += 1


def _of_tar(place: Place, held: bool) -> Iterator[Member]:
    """Pictures in a tar file, streamed; the folder they lie in is their label. CIFAR-10's archives hold batches instead."""
    batch = "test_batch" if held else "data_batch"
    with place.system.open(place.path, "rb") as file, tarfile.open(fileobj=file, mode="r|*") as tar:
        for info in tar:
            content = tar.extractfile(info) if info.isfile() else None
            if content is None:
                continue
            inner = PurePosixPath(info.name)
            if inner.suffix.lower() in PICTURES:
                yield Member(
                    f"{place.path}:{info.name}", content.read(), PurePosixPath(place.path).stem, inner.parent.name
                )
            elif inner.parent.name.startswith("cifar-10-batches") and batch in inner.name:
                yield from _of_cifar(f"{place.path}:{info.name}", content, binary=inner.suffix == ".bin")


def _of_cifar(name: str, content: IO[bytes], binary: bool) -> Iterator[Member]:
    """A batch of the official archive: records of a label and 3 planes of 32 x 32 bytes, or the same pickled."""
    if binary:
        records = np.frombuffer(content.read(), np.uint8).reshape(-1, 3073)
        labels, planes = records[:, 0], records[:, 1:]
    else:
        labels, planes = _unpickled(content.read())
    if len(labels) and labels.max() >= len(_CIFAR):
        raise ValueError(f"it has the label {labels.max()}; CIFAR-10's end at {len(_CIFAR) - 1}")
    pixels = np.ascontiguousarray(planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    if len(labels) != len(pixels):
        raise ValueError(f"it has {len(labels)} labels for {len(pixels)} pictures")
    for number, (picture, label) in enumerate(zip(pixels, labels, strict=True)):
        yield Member(f"{name}[{number}]", picture, "cifar10", _CIFAR[int(label)])


def _unpickled(data: bytes) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Labels (N,) and planes (N, 3072) of a pickled batch. Raises ValueError for one that is damaged or more than that."""
    try:
        batch = _Arrays(io.BytesIO(data), encoding="latin1").load()
        return np.asarray(batch["labels"], np.uint8), np.asarray(batch["data"], np.uint8)
    except Exception as error:  # whatever a damaged pickle makes of the reader
        raise ValueError(f"it is no batch of CIFAR-10: {' '.join(str(error).split())}") from None


class _Arrays(pickle.Unpickler):
    """Unpickles arrays, numbers and texts; refuses everything else, since a pickle is a program."""

    _MODULES = frozenset(
        {"numpy", *(f"numpy.{core}.{part}" for core in ("core", "_core") for part in ("multiarray", "numeric"))}
    )
    _NAMES = frozenset({"_reconstruct", "ndarray", "dtype", "_frombuffer", "scalar"})

    def find_class(self, module: str, name: str) -> Any:
        if module in self._MODULES and name in self._NAMES:
            return super().find_class(module, name)
        raise ValueError(f"its pickle asks for {module}.{name}, which is no array")
