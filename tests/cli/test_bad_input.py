"""Whatever goes wrong with one input: one line with file and cause, the right exit code, the others done, no half file."""

from __future__ import annotations

import resource
import shutil
import struct
import zlib
from pathlib import Path

import pytest

from .conftest import Run, is_whole

WASH = ("--method", "wash")


def png_header(width: int, height: int, data: bytes = b"") -> bytes:
    """A 1-bit grey PNG of this size, with `data` for its pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def bad_bytes(kind: str, good: bytes) -> bytes:
    """A broken file of that kind, made of a good JPEG."""
    if kind == "empty":
        return b""
    if kind == "truncated":
        return good[: len(good) // 2]
    if kind == "corrupt":
        return good[:200] + bytes(300) + good[500:]
    if kind == "not a picture":
        return b"Dear Sir or Madam,\n" * 100
    return png_header(100, 100, zlib.compress(bytes(100)))  # pixels of a few rows only


@pytest.mark.parametrize("kind", ["empty", "truncated", "corrupt", "not a picture", "short PNG"])
def test_a_bad_file_fails_alone(tintype: Run, examples: Path, tmp_path: Path, kind: str) -> None:
    name = "bad.png" if "PNG" in kind else "bad.jpg"
    (tmp_path / name).write_bytes(bad_bytes(kind, (examples / "astronaut.jpg").read_bytes()))
    done = tintype("colorize", name, examples / "cat.jpg", "-o", "out/", *WASH)
    lines = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert done.returncode == 1, done.stderr
    assert len(lines) == 1 and name in lines[0]
    assert not (tmp_path / "out" / name).exists()
    assert is_whole(tmp_path / "out" / "cat.jpg")


def test_truncated_is_read_when_allowed(tintype: Run, examples: Path, tmp_path: Path) -> None:
    (tmp_path / "half.jpg").write_bytes(bad_bytes("truncated", (examples / "astronaut.jpg").read_bytes()))
    assert "--allow-truncated" in tintype("colorize", "half.jpg", *WASH).stderr
    done = tintype("colorize", "half.jpg", *WASH, "--allow-truncated")
    assert done.returncode == 0, done.stderr
    assert is_whole(tmp_path / "half-color.jpg")


@pytest.mark.parametrize("name", ["missing.jpg", "nothing-*.jpg"])
def test_missing(tintype: Run, name: str) -> None:
    done = tintype("colorize", name, *WASH)
    assert done.returncode == 1 and done.stderr.startswith(f"error: {name}: ")
    assert len(done.stderr.splitlines()) == 1 and done.stderr.endswith(")\n")


def test_a_folder_without_pictures(tintype: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = tintype("colorize", "empty", *WASH)
    assert done.returncode == 1 and "no pictures" in done.stderr


def test_a_wrong_ending_does_not_matter(tintype: Run, examples: Path, tmp_path: Path) -> None:
    shutil.copy(examples / "cat.jpg", tmp_path / "cat.png")
    assert tintype("colorize", "cat.png", *WASH).returncode == 0
    assert is_whole(tmp_path / "cat-color.png")


@pytest.mark.parametrize("more", [(), ("--max-pixels", "1000000")])
def test_bombs_are_refused_by_their_header(tintype: Run, tmp_path: Path, more: tuple[str, ...]) -> None:
    side = 1200 if more else 60_000
    (tmp_path / "bomb.png").write_bytes(png_header(side, side))
    done = tintype("colorize", "bomb.png", *WASH, *more)
    assert done.returncode == 4 and "--max-pixels" in done.stderr


def test_the_source_is_never_the_destination(tintype: Run, examples: Path, tmp_path: Path) -> None:
    shutil.copy(examples / "cat.jpg", tmp_path)
    (tmp_path / "link.jpg").symlink_to("cat.jpg")
    (tmp_path / "hard.jpg").hardlink_to(tmp_path / "cat.jpg")
    for name in ("cat.jpg", "./cat.jpg", "link.jpg", "hard.jpg"):
        done = tintype("colorize", "cat.jpg", "-o", name, "--overwrite", *WASH)
        assert done.returncode == 1 and "source" in done.stderr, name
    done = tintype("colorize", ".", "-o", ".", "--overwrite", *WASH)
    assert done.returncode != 0
    assert (tmp_path / "cat.jpg").read_bytes() == (examples / "cat.jpg").read_bytes()


def test_two_inputs_with_one_output_stop_everything(tintype: Run, examples: Path, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        shutil.copy(examples / "cat.jpg", tmp_path / folder)
    done = tintype("colorize", "a/cat.jpg", "b/cat.jpg", "-o", "out", *WASH)
    assert done.returncode == 2 and "a/cat.jpg and b/cat.jpg" in done.stderr
    assert not (tmp_path / "out").exists()
    assert tintype("colorize", "a/cat.jpg", "./a/cat.jpg", "-o", "out", *WASH).returncode == 0


def test_a_result_never_replaces_another_input(tintype: Run, examples: Path, tmp_path: Path) -> None:
    for name in ("cat.jpg", "cat-color.jpg"):
        shutil.copy(examples / "cat.jpg", tmp_path / name)
    done = tintype("colorize", "cat.jpg", "cat-color.jpg", "--overwrite", *WASH)
    assert done.returncode == 2 and "input too" in done.stderr


@pytest.mark.parametrize(
    "out", ["file/a.jpg", "file/deep/", "/proc/no-such/", "folder.jpg", "/dev/null/x.jpg", "name" * 80 + ".jpg"]
)
def test_destinations_that_cannot_be_written(tintype: Run, examples: Path, tmp_path: Path, out: str) -> None:
    (tmp_path / "file").write_text("a file, not a folder")
    (tmp_path / "folder.jpg" / "cat.jpg").mkdir(parents=True)
    done = tintype("colorize", examples / "cat.jpg", "-o", out, "--overwrite", *WASH)
    assert done.returncode == 1, done.stderr
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("error: ")
    assert "internal" not in done.stderr


@pytest.mark.parametrize("name", ["astronaut.jpg", "camera.png", "coffee.tif", "grass.webp"])
def test_a_full_disk_leaves_nothing(tintype: Run, examples: Path, tmp_path: Path, name: str) -> None:
    # A limit on the size of files stands in for the disk: writes fail half way through.
    done = tintype(
        "colorize",
        examples / name,
        "-o",
        f"out/{name}",
        *WASH,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )
    assert done.returncode == 1, done.stderr
    assert len(done.stderr.splitlines()) == 1 and "internal" not in done.stderr, done.stderr
    assert not (tmp_path / "out" / name).exists()


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("x.jpg", "--no-such-option"),
        ("x.jpg", "--strength", "3"),
        ("x.jpg", "--decode", "loud"),
        ("x.jpg", "--chroma", "422"),
        ("x.jpg", "--jobs", "-1"),
        ("cat.jpg", "-o", "no-ending"),
        ("cat.jpg", "-o", "cat.docx"),
        ("cat.jpg", "--method", "magic"),
        ("cat.jpg", "dog.jpg", "-o", "one.jpg"),
        ("cat.jpg", "dog.jpg", "-o", "-"),
        ("-", "-o", "out/"),
        ("cat.jpg", "--format", "png"),
    ],
)
def test_usage(tintype: Run, examples: Path, tmp_path: Path, args: tuple[str, ...]) -> None:
    for name in ("cat.jpg", "dog.jpg", "one.jpg"):
        shutil.copy(examples / "cat.jpg", tmp_path / name)
    before = sorted(tmp_path.iterdir())
    done = tintype("colorize", *args)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("error: ")
    assert sorted(tmp_path.iterdir()) == before


def test_missing_weights(tintype: Run, examples: Path) -> None:
    done = tintype("colorize", examples / "cat.jpg", "-o", "a.jpg", "--method", "gone.onnx")
    assert done.returncode == 3 and "gone.onnx" in done.stderr
    done = tintype("colorize", examples, "-o", "out", "--method", "gone.onnx")
    assert done.returncode == 3 and done.stderr.count("gone.onnx") == 1


def test_bad_standard_input_is_called_so(tintype: Run) -> None:
    done = tintype("colorize", "-", *WASH, stdin=b"no picture")
    assert done.returncode == 1 and done.stderr.startswith("error: standard input: ")
    assert done.stdout == ""


def test_a_name_with_a_line_break_stays_on_one_line(tintype: Run, examples: Path, tmp_path: Path) -> None:
    shutil.copy(examples / "cat.jpg", tmp_path / "two\nlines.jpg")
    (tmp_path / "bad\nname.jpg").write_bytes(b"no picture")
    done = tintype("colorize", "two\nlines.jpg", "bad\nname.jpg", *WASH)
    assert "two\\nlines.jpg -> two\\nlines-color.jpg" in done.stderr
    assert len(done.stderr.splitlines()) == 3, done.stderr  # one for each, and the sum


def test_pipes_and_devices_are_no_files(tintype: Run) -> None:
    assert "no file" in tintype("colorize", "/dev/zero", "-o", "a.jpg", *WASH).stderr
