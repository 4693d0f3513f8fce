"""What may stand on the command line as a method, and how each colours."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from skimage import data as photographs

from tintype.cards import CARDS
from tintype.errors import PictureError, UsageError
from tintype.evaluate.candidates import Candidate, Sample, candidate, colour_of, named_apart, results_in
from tintype.evaluate.pictures import Stream, count, drawn, sample_of, stream
from tintype.picture.color import luma_of

COFFEE = photographs.coffee()[100:220, 200:360]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two originals, one of them below."""
    (tmp_path / "in" / "below").mkdir(parents=True)
    Image.fromarray(COFFEE).save(tmp_path / "in" / "a.png")
    Image.fromarray(COFFEE[:90]).save(tmp_path / "in" / "below" / "b.png")
    return tmp_path


def samples(folder: Path) -> dict[str, Sample]:
    data = [str(folder / "in")]
    found = [sample_of(picture, 0) for picture in stream(data, range(count(data)))]
    assert all(isinstance(sample, Sample) for sample in found)
    return {sample.key: sample for sample in found}


@pytest.mark.parametrize(
    ("text", "name", "kind", "decode"),
    [
        ("tint", "tint", "method", "annealed"),
        ("tint@mean", "tint mean", "method", "mean"),
        ("ours=tint@mode", "ours", "method", "mode"),
        ("grey", "grey", "method", "annealed"),
    ],
)
def test_methods_by_name(text: str, name: str, kind: str, decode: str) -> None:
    what = text.rpartition("=")[2].partition("@")[0]
    sha256 = CARDS[what].sha256 if what in CARDS else ""
    assert candidate(text) == Candidate(name, what, kind, decode, sha256)


def test_places_by_path(folder: Path, tmp_path: Path) -> None:
    assert candidate(str(folder / "in")).kind == "folder"
    assert candidate(f"theirs={folder / 'in'}").name == "theirs"
    assert candidate(f"welsh:{folder / 'in'}").kind == "transfer"
    odd = tmp_path / "a=b"
    odd.mkdir()
    assert candidate(str(odd)).name == "a=b", "a path that is there is no label"


@pytest.mark.parametrize("text", ["tin", "tint@average", "nowhere/x.onnx", "welsh:", "welsh:nowhere", "nowhere/"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as error:
        candidate(text)
    assert "\n" not in str(error.value)


def test_one_name_for_two_is_refused() -> None:
    with pytest.raises(UsageError, match="LABEL=METHOD"):
        named_apart([candidate("tint"), candidate("tint")])
    named_apart([candidate("tint"), candidate("x=tint")])


@pytest.mark.parametrize("name", ["tint", "grey", "wash"])
def test_methods_keep_luma_and_never_see_colour(folder: Path, name: str) -> None:
    colour = colour_of(candidate(name), 0, 1)
    sample = samples(folder)["a"]
    result = colour(sample)
    assert np.array_equal(luma_of(result), luma_of(sample.rgb))
    grey = Sample("g", "g", np.repeat(luma_of(sample.rgb)[..., None], 3, 2))
    assert np.array_equal(colour(grey), result)


def test_transfer_colours_from_its_own_picture(folder: Path) -> None:
    sample = samples(folder)["a"]
    result = colour_of(candidate(f"welsh:{folder / 'in' / 'a.png'}"), 0, 1)(sample)
    grey = np.repeat(luma_of(sample.rgb)[..., None], 3, 2)
    error = [np.square(picture.astype(float) - sample.rgb).mean() for picture in (result, grey)]
    assert error[0] < error[1] and np.array_equal(luma_of(result), luma_of(sample.rgb))


def test_results_are_found_by_name(folder: Path) -> None:
    out = folder / "out" / "below"
    out.mkdir(parents=True)
    Image.fromarray(COFFEE[:, ::-1]).save(folder / "out" / "a-color.png")
    Image.fromarray(COFFEE[:90]).save(out / "b.webp", lossless=True)
    colour = colour_of(candidate(str(folder / "out")), 0, 1)
    found = samples(folder)
    assert np.array_equal(colour(found["a"]), COFFEE[:, ::-1])
    assert np.array_equal(colour(found["below/b"]), COFFEE[:90])


def test_results_that_don_t_fit_are_named(folder: Path) -> None:
    out = folder / "out"
    out.mkdir()
    Image.fromarray(COFFEE[:100]).save(out / "a.png")
    colour, found = colour_of(candidate(str(out)), 0, 1), samples(folder)
    with pytest.raises(PictureError, match="has 160 x 100 pixels, its original 160 x 120"):
        colour(found["a"])
    with pytest.raises(PictureError, match="no result for"):
        colour(found["below/b"])
    (out / "a.png").write_bytes(b"no picture")
    with pytest.raises(PictureError, match=r"a\.png: can't be read"):
        colour(found["a"])


def test_only_pictures_count_and_one_of_two_must_be_meant(folder: Path) -> None:
    out, found = folder / "out", samples(folder)
    out.mkdir()
    (out / "a.txt").write_text("no picture")
    Image.fromarray(COFFEE[::-1]).save(out / "a.webp", lossless=True)
    assert np.array_equal(colour_of(candidate(str(out)), 0, 1)(found["a"]), COFFEE[::-1])
    Image.fromarray(COFFEE).save(out / "a.png")
    assert np.array_equal(colour_of(candidate(str(out)), 0, 1)(found["a"]), COFFEE), "the one with the same ending"
    Image.fromarray(COFFEE).save(out / "a-color.png")
    with pytest.raises(PictureError, match="both results for"):
        colour_of(candidate(str(out)), 0, 1)(found["a"])


def test_a_fingerprint_changes_with_the_files(folder: Path) -> None:
    before = results_in(str(folder / "in"))
    assert before == results_in(str(folder / "in")) and before.name == "in"
    Image.fromarray(COFFEE).save(folder / "in" / "c.png")
    assert results_in(str(folder / "in")).sha256 != before.sha256


def test_names_of_folders_keep_their_dots(folder: Path) -> None:
    (folder / "model.v2").mkdir()
    assert candidate(str(folder / "model.v2")).name == "model.v2"


def test_deep_greys_are_not_clipped(folder: Path) -> None:
    deep = np.linspace(0, 65535, 120 * 160).reshape(120, 160).astype(np.uint16)
    Image.fromarray(deep).save(folder / "in" / "deep.png")
    rgb = samples(folder)["deep"].rgb
    assert np.array_equal(rgb[..., 0], deep >> 8) and np.ptp(rgb, axis=2).max() == 0


def test_a_subset_is_drawn_by_the_seed(folder: Path) -> None:
    assert count([str(folder / "in")]) == 2
    assert drawn(100, 10, 0) == drawn(100, 10, 0) != drawn(100, 10, 1)
    assert len(drawn(100, 10, 0) or ()) == 10 and drawn(5, 10, 0) is drawn(5, 0, 0) is None


def test_a_stream_gives_what_is_asked_for_in_parts_or_at_once(folder: Path, tmp_path: Path) -> None:
    rows = [{"image": (folder / "in" / "a.png").read_bytes()} for _ in range(5)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "pack.parquet")
    with tarfile.open(tmp_path / "shard.tar", "w") as tar:
        tar.add(folder / "in" / "a.png", "x/y.png")
        tar.add(folder / "in" / "below" / "b.png", "x/z.png")
    data = [
        str(folder / "in"),
        str(tmp_path / "pack.parquet"),
        str(tmp_path / "shard.tar"),
        str(folder / "in" / "a.png"),
    ]
    keys = ["a", "below/b", *(f"pack-{k:05d}" for k in range(5)), "x/y", "x/z", "a"]
    assert count(data) == 10
    assert [(picture.number, picture.key) for picture in stream(data, range(10))] == list(enumerate(keys))
    parts = Stream(data)
    found = [picture.key for numbers in ((1,), (3, 4), (6, 8, 9)) for picture in parts.take(numbers)]
    assert found == [keys[k] for k in (1, 3, 4, 6, 8, 9)]
