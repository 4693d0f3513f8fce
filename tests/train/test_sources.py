"""Every kind of place gives its pictures; what is broken is named, and nothing in it is run."""

import io
import os
import pickle
import struct
import tarfile

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tintype.errors import UsageError
from tintype.train import sources
from tintype.train.cache import pack_of

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def archive(path, files):
    """A tar.gz of {name: bytes}."""
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def planes(count, seed=0):
    """Pictures as CIFAR-10 stores them: (count, 3072), all of red, then green, then blue."""
    return np.random.default_rng(seed).integers(0, 256, (count, 3072), np.uint8)


def old_pickle(labels, data):
    """A batch as the official archive has it: pickled by Python 2, whose strings are bytes, with numpy's old module names."""

    def string(value):
        return b"T" + struct.pack("<i", len(value)) + value

    def number(value):
        return b"J" + struct.pack("<i", value)

    dtype = b"cnumpy\ndtype\n(" + string(b"u1") + number(0) + number(1) + b"tR("
    dtype += number(3) + string(b"|") + b"NNN" + number(-1) + number(-1) + number(0) + b"tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(" + number(0) + b"t" + string(b"b") + b"tR("
    array += number(1) + b"(" + number(data.shape[0]) + number(data.shape[1]) + b"t" + dtype + b"I00\n"
    array += string(data.tobytes()) + b"tb"
    listed = b"(" + b"".join(map(number, labels)) + b"l"
    entries = {b"batch_label": string(b"training batch 1 of 5"), b"labels": listed, b"data": array}
    return b"\x80\x02(" + b"".join(string(key) + value for key, value in entries.items()) + b"d."


def read(path, held=False):
    return [m for place in sources.places(str(path)) for m in sources.members(place, held)]


@pytest.mark.parametrize("kind", ["python", "binary"])
def test_cifars_official_archives(kind, tmp_path):
    labels, data = [3, 0, 9, 9], planes(4)
    other = planes(2, 1)
    if kind == "python":
        files = {
            "cifar-10-batches-py/batches.meta": pickle.dumps({"label_names": list(NAMES)}, 2),
            "cifar-10-batches-py/data_batch_1": old_pickle(labels, data),
            "cifar-10-batches-py/readme.html": b"<html>",
            "cifar-10-batches-py/test_batch": old_pickle([1, 2], other),
        }
    else:
        files = {
            "cifar-10-batches-bin/batches.meta.txt": "\n".join(NAMES).encode(),
            "cifar-10-batches-bin/data_batch_1.bin": np.column_stack([np.uint8(labels), data]).tobytes(),
            "cifar-10-batches-bin/test_batch.bin": np.column_stack([np.uint8([1, 2]), other]).tobytes(),
        }
    path = archive(tmp_path / f"cifar-10-{kind}.tar.gz", files)
    found = read(path)
    assert [m.label for m in found] == ["cat", "airplane", "truck", "truck"], "in order, and without the test pictures"
    for member, row in zip(found, data, strict=True):
        assert member.data.shape == (32, 32, 3)
        assert np.array_equal(member.data.transpose(2, 0, 1).ravel(), row)
    pack = pack_of([str(path)], tmp_path / "cache", 32)
    assert len(pack) == 4 and np.array_equal(pack.picture(2), found[2].data)
    assert [m.label for m in read(path, held=True)] == ["automobile", "bird"]
    tests = pack_of([str(path)], tmp_path / "cache", 32, held=True)
    assert np.array_equal(tests.pixels, np.stack([m.data for m in read(path, held=True)]).ravel())


@pytest.mark.parametrize("name", ["nosuch://x/y", "memory://nothing/here"])
def test_urls_that_lead_nowhere(name):
    with pytest.raises(UsageError, match=name.split(":")[0]):
        sources.places(name)


def test_pictures_behind_a_url():
    memory = fsspec.filesystem("memory")
    file = io.BytesIO()
    Image.fromarray(np.full((20, 30, 3), 99, np.uint8)).save(file, "PNG")
    memory.pipe("/shots/one/a.png", file.getvalue())
    (member,) = read("memory://shots")
    assert member.data == file.getvalue() and member.source == "one"


class Evil:
    """What unpickling it would do: make a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("evil", "asks for posix.mkdir"),
        (b"nothing", "no batch of CIFAR-10"),
        (old_pickle([1, 2], planes(2))[:3000], "no batch of CIFAR-10"),
        (pickle.dumps(["a list"]), "no batch of CIFAR-10"),
        (old_pickle([1, 2, 3], planes(2)), "3 labels for 2 pictures"),
        (old_pickle([1, 10], planes(2)), "label 10"),
        (old_pickle([1, 2], planes(2)[:, :100]), "reshape"),
    ],
)
def test_pickles_that_are_no_batch_are_one_line_and_never_run(content, words, tmp_path):
    trap = tmp_path / "trap"
    if content == "evil":
        content = pickle.dumps({"labels": [1], "data": Evil(str(trap))}, 2)
    path = archive(tmp_path / "cifar-10-python.tar.gz", {"cifar-10-batches-py/data_batch_1": content})
    with pytest.raises(UsageError, match=words) as error:
        read(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    assert not trap.exists()


def test_an_archive_that_ends_too_early_is_named(tmp_path):
    path = archive(tmp_path / "cifar-10-python.tar.gz", {"cifar-10-batches-py/data_batch_1": old_pickle([1] * 50, planes(50))})  # fmt: skip
    path.write_bytes(path.read_bytes()[:-20000])
    with pytest.raises(UsageError, match=r"cifar-10-python.tar.gz: can't be read to its end"):
        read(path)


def test_the_same_pictures_from_a_folder_a_pack_and_a_shard(folder, tmp_path):
    files = sorted(folder.glob("astronaut*.png"))[:5]
    pq.write_table(pa.table({"image": [f.read_bytes() for f in files]}), tmp_path / "pack.parquet")
    archive(tmp_path / "shard.tar.gz", {f"a/{f.name}": f.read_bytes() for f in files})
    (tmp_path / "pictures").mkdir()
    for file in files:
        (tmp_path / "pictures" / file.name).write_bytes(file.read_bytes())
    for name in ("pictures", "pack.parquet", "shard.tar.gz", "pictures/*.png"):
        assert [m.data for m in read(tmp_path / name)] == [f.read_bytes() for f in files], name


def test_what_cannot_be_read_is_counted_and_named_by_its_own_name(folder, tmp_path):
    where = tmp_path / "data"
    where.mkdir()
    (where / "good.png").write_bytes((folder / "coffee0.png").read_bytes())
    (where / "junk.jpg").write_bytes(b"junk")
    (where / "empty.png").touch()
    (where / "cut.png").write_bytes((folder / "coffee1.png").read_bytes()[:3000])
    (where / "dangling.png").symlink_to("nowhere")
    (where / "loop.png").symlink_to("loop.png")
    pack = pack_of([str(where)], tmp_path / "cache", 64)
    assert len(pack) == 1 and pack.skipped == 5
    lines = (tmp_path / "cache/skipped.txt").read_text().splitlines()
    assert [line.split(": ")[0] for line in lines] == [str(where / f"{n}") for n in ("cut.png", "dangling.png", "empty.png", "junk.jpg", "loop.png")]  # fmt: skip
    assert not any("object at" in line or line.endswith(": ") for line in lines)
    (where / "good.png").unlink()
    with pytest.raises(UsageError, match="no picture there can be decoded"):
        pack_of([str(where)], tmp_path / "other", 64)


def test_a_cache_that_cannot_be_written_is_one_line(folder, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Exception, match=r"file/cache: can't be written: Not a directory") as error:
        pack_of([str(folder)], tmp_path / "file" / "cache", 64)
    assert error.value.exit_code == 1
