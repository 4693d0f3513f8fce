"""PNG: every type and depth, and the chunks that aren't pixels."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tintype.errors import PictureError
from tintype.picture.color import luma_of
from tintype.picture.files import ReadOptions, open_picture, save_colored, save_gray
from tintype.picture.png import _filtered, packed


def luma(picture):
    return np.concatenate([b.luma for b in picture.pages[0].pixels.bands()])


def chunk(name, payload):
    return struct.pack(">I", len(payload)) + name + payload + struct.pack(">I", zlib.crc32(name + payload))


def png(path, samples, bits, kind, *chunks, interlaced=False):
    """A PNG of samples (H, W[, C]), each row unfiltered, with more chunks before its pixels."""
    height, width = samples.shape[:2]

    def rows(part):
        if not part.size:
            return b""
        raw = (
            packed(part, bits)
            if bits < 8
            else np.ascontiguousarray(part.astype(">u2" if bits == 16 else np.uint8))
            .view(np.uint8)
            .reshape(len(part), -1)
        )
        return b"".join(b"\0" + row.tobytes() for row in raw)

    steps = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    data = b"".join(rows(samples[y::dy, x::dx]) for y, x, dy, dx in steps) if interlaced else rows(samples)
    head = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, interlaced)
    body = (
        chunk(b"IHDR", head)
        + b"".join(chunk(*c) for c in chunks)
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_grey_of_every_depth_and_back(tmp_path, gray, gray16, color, bits, interlaced):
    stored = gray16 if bits == 16 else gray >> (8 - bits)
    png(tmp_path / "a.png", stored, bits, 0, interlaced=interlaced)
    picture = open_picture(tmp_path / "a.png")
    expected = stored if bits == 16 else stored * np.uint8(255 // (2**bits - 1))
    assert np.array_equal(luma(picture), expected)
    save_colored(color(picture), tmp_path / "b.png", overwrite=False, subsampling="420")
    assert np.array_equal(luma(open_picture(tmp_path / "b.png")), expected)
    save_gray(open_picture(tmp_path / "b.png"), tmp_path / "c.png", overwrite=False)
    head = (tmp_path / "c.png").read_bytes()[24:26]
    assert tuple(head) == (bits, 0)
    assert np.array_equal(luma(open_picture(tmp_path / "c.png")), expected)


def test_palette_transparency_and_colour(tmp_path, gray, rgb, color):
    table = np.random.default_rng(4).integers(0, 256, (16, 3), np.uint8)
    plte = b"PLTE", table.tobytes()
    cases = {
        "palette": (gray >> 4, 4, 3, (plte,), luma_of(table[gray >> 4]), None),
        "palette-alpha": (gray >> 4, 4, 3, (plte, (b"tRNS", bytes(range(10)))), luma_of(table[gray >> 4]), True),
        "grey-key": (gray, 8, 0, ((b"tRNS", struct.pack(">H", 200)),), gray, np.where(gray == 200, 0, 255)),
        "rgb-key": (rgb, 8, 2, ((b"tRNS", struct.pack(">HHH", *map(int, rgb[0, 0]))),), luma_of(rgb), True),
        "rgb16": (rgb.astype(np.uint16) * 257, 16, 2, (), luma_of(rgb.astype(np.uint16) * 257), None),
    }
    for name, (samples, bits, kind, chunks, expected, alpha) in cases.items():
        png(tmp_path / f"{name}.png", samples, bits, kind, *chunks)
        picture = open_picture(tmp_path / f"{name}.png")
        assert np.array_equal(luma(picture), expected), name
        assert picture.pages[0].has_alpha == (alpha is not None)
        if isinstance(alpha, np.ndarray):
            assert np.array_equal(np.concatenate([b.alpha for b in picture.pages[0].pixels.bands()]), alpha)
        save_colored(color(picture), tmp_path / f"{name}-b.png", overwrite=False, subsampling="420")
        assert np.array_equal(luma(open_picture(tmp_path / f"{name}-b.png")), expected), name


def test_chunks_are_copied_and_those_of_the_old_pixels_are_not(tmp_path, gray, color):
    kept = [
        (b"gAMA", struct.pack(">I", 45455)),
        (b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)),
        (b"pHYs", struct.pack(">IIB", 11811, 5906, 1)),
        (b"tIME", struct.pack(">HBBBBB", 1999, 1, 2, 3, 4, 5)),
        (b"tEXt", b"Title\0Grandmother"),
        (b"tEXt", b"Title\0again"),
        (b"zTXt", b"Comment\0\0" + zlib.compress(b"long" * 100)),
        (b"iTXt", b"Author\0\0\0de\0Autor\0J\xc3\xbcrgen"),
        (b"eXIf", b"MM\0*broken"),
    ]
    dropped = [(b"sBIT", b"\x08"), (b"bKGD", b"\0\0")]
    png(tmp_path / "a.png", gray, 8, 0, *dropped, *kept)
    save_colored(color(open_picture(tmp_path / "a.png")), tmp_path / "b.png", overwrite=False, subsampling="420")
    save_gray(open_picture(tmp_path / "b.png"), tmp_path / "c.png", overwrite=False)
    for name in ("b.png", "c.png"):
        found = chunks_of((tmp_path / name).read_bytes())
        assert all(k in found for k in kept), name
        assert not any(n in (b"sBIT", b"bKGD", b"tRNS") for n, _ in found)
        assert (b"iTXt" in [n for n, d in found if d.startswith(b"XML:")]) == (name == "b.png")
    with Image.open(tmp_path / "b.png") as image:
        assert "compositeWithTrainedAlgorithmicMedia" in str(image.info["XML:com.adobe.xmp"])


def chunks_of(data):
    at, out = 8, []
    while at < len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        payload = data[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", data, at + 8 + length)[0] == zlib.crc32(name + payload)
        out.append((name, payload))
        at += 12 + length
    return out


def test_broken_profiles_and_metadata_bombs(tmp_path, gray):
    for number, payload in enumerate(
        (b"x\0\0notzlib", b"x\0\0" + zlib.compress(b"no profile"), b"x\0\0" + zlib.compress(bytes(10**8)))
    ):
        png(tmp_path / f"{number}.png", gray, 8, 0, (b"iCCP", payload))
        with pytest.raises(PictureError, match="--ignore-profile"):
            open_picture(tmp_path / f"{number}.png")
        picture = open_picture(tmp_path / f"{number}.png", ReadOptions(ignore_profile=True))
        assert np.array_equal(luma(picture), gray) and "ignored" in picture.pages[0].notes[0]


@pytest.mark.parametrize("step", [1, 3, 8])
def test_filters_can_be_undone_across_bands(rgb, step):
    rows = rgb.reshape(len(rgb), -1)
    data = _filtered(rows[:50], None, step, False) + _filtered(rows[50:], rows[49], step, False)
    out = np.zeros_like(rows)
    above = np.zeros(rows.shape[1] + step, np.int64)
    for k, line in enumerate(np.frombuffer(data, np.uint8).reshape(len(rows), -1)):
        now = np.zeros_like(above)
        for i in range(rows.shape[1]):
            a, b, c = now[i], above[i + step], above[i]
            p = a + b - c
            near = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            now[i + step] = (int(line[i + 1]) + {1: a, 2: b, 4: near}[line[0]]) & 255
        out[k], above = now[step:], now
        if k == 60:
            break
    assert np.array_equal(out[:61], rows[:61])
