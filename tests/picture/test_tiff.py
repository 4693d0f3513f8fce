"""TIFF: every layout, every page, every tag."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image, TiffImagePlugin

from tintype.errors import PictureError, SaveError
from tintype.picture.color import luma_of
from tintype.picture.files import open_picture, save_colored, save_gray
from tintype.picture.ifd import block_of, parse_block, without_turn


def luma(picture, page=0):
    return np.concatenate([b.luma for b in picture.pages[page].pixels.bands()])


def layouts(gray, gray16, rgb):
    """name -> (samples as stored, luma, how tifffile is to write it)."""
    rgb16 = rgb.astype(np.uint16) * 257
    table = np.random.default_rng(5).integers(0, 256, (3, 256)).astype(np.uint16) * 257
    greys = (np.arange(256) * 257).astype(np.uint16)[None].repeat(3, 0)
    two = (gray > 100).astype(bool)
    return {
        "miniswhite": (gray, 255 - gray, {"photometric": "miniswhite"}),
        "miniswhite16": (gray16, 65535 - gray16, {"photometric": "miniswhite"}),
        "onebit": (two, two * np.uint8(255), {"photometric": "minisblack"}),
        "onebit-white": (two, ~two * np.uint8(255), {"photometric": "miniswhite"}),
        "deflate": (gray16, gray16, {"compression": "zlib", "predictor": True}),
        "tiled": (gray16, gray16, {"tile": (64, 32), "compression": "zlib"}),
        "rgb-tiled": (rgb, luma_of(rgb), {"photometric": "rgb", "tile": (32, 48)}),
        "planar": (rgb.transpose(2, 0, 1), luma_of(rgb), {"photometric": "rgb", "planarconfig": "separate"}),
        "rgb16": (rgb16, luma_of(rgb16), {"photometric": "rgb"}),
        "bigendian": (gray16.astype(">u2"), gray16, {"byteorder": ">"}),
        "bigtiff": (gray16, gray16, {"bigtiff": True}),
        "palette": (
            gray,
            luma_of((table.T[gray] // 257).astype(np.uint8)),
            {"photometric": "palette", "colormap": table},
        ),
        "grey-palette": (gray, gray, {"photometric": "palette", "colormap": greys}),
        "one-strip": (gray, gray, {"rowsperstrip": 10**6}),
        "odd-strips": (gray16, gray16, {"rowsperstrip": 7}),
    }


@pytest.mark.parametrize(
    "name", list(layouts(np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint16), np.zeros((2, 2, 3), np.uint8)))
)
def test_layouts(tmp_path, gray, gray16, rgb, color, name):
    stored, expected, how = layouts(gray, gray16, rgb)[name]
    tifffile.imwrite(
        tmp_path / "a.tif", np.ascontiguousarray(stored) if name != "bigendian" else stored, metadata=None, **how
    )
    picture = open_picture(tmp_path / "a.tif")
    assert np.array_equal(luma(picture), expected)
    save_colored(color(picture), tmp_path / "b.tif", overwrite=False, subsampling="420")
    result = tifffile.imread(tmp_path / "b.tif")
    assert result.dtype == expected.dtype and np.array_equal(luma_of(result), expected)
    save_gray(open_picture(tmp_path / "b.tif"), tmp_path / "c.tif", overwrite=False)
    assert np.array_equal(luma(open_picture(tmp_path / "c.tif")), expected)
    with tifffile.TiffFile(tmp_path / "a.tif") as before, tifffile.TiffFile(tmp_path / "c.tif") as after:
        a, c = before.pages[0], after.pages[0]
        if "palette" not in name:
            assert (a.bitspersample, a.photometric, a.samplesperpixel) == (
                c.bitspersample,
                c.photometric,
                c.samplesperpixel,
            )
            if "white" not in name and not name.startswith(("planar", "rgb")):
                assert np.array_equal(c.asarray(), stored)
        assert (a.compression == 1) == (c.compression == 1)


@pytest.mark.parametrize("compression", ["lzw", "packbits", "deflate", "group4", "group3"])
def test_compressions(tmp_path, gray, compression):
    source = Image.fromarray(gray > 100) if compression.startswith("group") else Image.fromarray(gray)
    names = {"lzw": "tiff_lzw", "deflate": "tiff_adobe_deflate"}
    source.save(tmp_path / "a.tif", compression=names.get(compression, compression))
    expected = (gray > 100) * np.uint8(255) if compression.startswith("group") else gray
    assert np.array_equal(luma(open_picture(tmp_path / "a.tif")), expected)


def test_jpeg_inside(tmp_path, rgb):
    pyvips.Image.new_from_array(rgb).tiffsave(str(tmp_path / "a.tif"), compression="jpeg", Q=90)
    got = luma(open_picture(tmp_path / "a.tif")).astype(int)
    assert np.abs(got - luma_of(rgb)).mean() < 4


def test_every_page_of_different_size_and_mode(tmp_path, gray, gray16, rgb, color):
    pages = [gray, rgb[:50, :70], gray16[:33], (gray > 100)[:20, :31]]
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for k, page in enumerate(pages):
            how = {"photometric": "rgb"} if page.ndim == 3 else {"photometric": "minisblack"}
            writer.write(
                np.ascontiguousarray(page),
                metadata=None,
                extratags=[(285, 2, 0, f"leaf {k}", True)],
                contiguous=False,
                **how,
            )
    picture = open_picture(tmp_path / "a.tif")
    expected = [gray, luma_of(np.ascontiguousarray(rgb[:50, :70])), gray16[:33], (gray > 100)[:20, :31] * np.uint8(255)]
    save_colored(color(picture), tmp_path / "b.tif", overwrite=False, subsampling="420")
    save_gray(open_picture(tmp_path / "b.tif"), tmp_path / "c.tif", overwrite=False)
    with tifffile.TiffFile(tmp_path / "b.tif") as made:
        assert len(made.pages) == 4
        for k, (page, luma_) in enumerate(zip(made.pages, expected, strict=True)):
            assert np.array_equal(luma_of(page.asarray()), luma_)
            assert page.tags[285].value == f"leaf {k}"
    back = open_picture(tmp_path / "c.tif")
    assert all(np.array_equal(luma(back, k), e) for k, e in enumerate(expected))
    assert [p.pages[0].bitspersample for p in []] == []
    with pytest.raises(SaveError, match="4 pages"):
        save_colored(color(picture), tmp_path / "b.png", overwrite=False, subsampling="420")


@pytest.mark.parametrize("bits", [8, 16])
def test_premultiplied_samples_stay_as_they_are(tmp_path, rgb, gray, color, bits):
    veil = np.broadcast_to(np.linspace(0, 255, gray.shape[1]).astype(np.uint8), gray.shape)
    samples = np.dstack([(rgb.astype(int) * veil[..., None] // 255).astype(np.uint8), veil])
    samples = samples if bits == 8 else samples.astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb", extrasamples=["assocalpha"], metadata=None)
    picture = open_picture(tmp_path / "a.tif")
    assert np.array_equal(luma(picture), luma_of(np.ascontiguousarray(samples[..., :3])))
    save_colored(color(picture), tmp_path / "b.tif", overwrite=False, subsampling="420")
    result = tifffile.imread(tmp_path / "b.tif")
    assert np.array_equal(result[..., 3], samples[..., 3])
    assert np.array_equal(luma_of(np.ascontiguousarray(result[..., :3])), luma(picture))
    assert (result[..., :3].astype(int) - result[..., 3:]).max() <= 2
    with tifffile.TiffFile(tmp_path / "b.tif") as made:
        assert made.pages[0].extrasamples == (1,)
    with pytest.raises(SaveError, match="premultiplied"):
        save_colored(color(picture), tmp_path / "b.png", overwrite=False, subsampling="420")


def test_tags_are_copied(tmp_path, gray16, color):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for number, value in {
        270: "Ürgroßmutter",
        271: "Agfa",
        272: "Clack",
        305: "scan 1.0",
        306: "1931:05:04 10:00:00",
        315: "unknown",
        33432: "none",
        274: 8,
    }.items():
        tags[number] = value
    tags[34377], tags.tagtype[34377] = b"8BIM-block", 7
    tags[33723], tags.tagtype[33723] = b"\x1c\x02\x05\0\x02hi", 7
    tags[65000], tags.tagtype[65000] = (1, 2, 3), 4
    tags[34665] = {0x9003: "1931:05:04 10:00:00", 0x829D: 5.6, 0x9286: b"ASCII\0\0\0hello"}
    tags[34853] = {1: "N", 2: (52.0, 30.0, 12.5)}
    Image.fromarray(gray16).save(tmp_path / "a.tif", tiffinfo=tags, dpi=(600, 300))
    picture = open_picture(tmp_path / "a.tif")
    assert picture.pages[0].metadata.orientation == 8 and picture.pages[0].size == gray16.shape
    assert picture.pages[0].metadata.dpi == pytest.approx((600, 300))
    save_colored(color(picture), tmp_path / "b.tif", overwrite=False, subsampling="420")
    save_gray(open_picture(tmp_path / "b.tif"), tmp_path / "c.tif", overwrite=False)
    layout = {256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317, 339, 700, 34665, 34853}
    for name in ("b.tif", "c.tif"):
        with tifffile.TiffFile(tmp_path / "a.tif") as before, tifffile.TiffFile(tmp_path / name) as after:
            a, b = before.pages[0].tags, after.pages[0].tags
            assert {t.code for t in a} - layout == {t.code for t in b} - layout
            for tag in a:
                if tag.code not in layout:
                    assert b[tag.code].value == tag.value, tag
            assert b[34665].value == a[34665].value and b[34853].value == a[34853].value
        with Image.open(tmp_path / name) as seen:
            assert seen.getexif().get_ifd(0x8769)[0x9003] == "1931:05:04 10:00:00"


@pytest.mark.parametrize(
    ("samples", "how", "words"),
    [
        (np.full((9, 9), np.nan, np.float32), {}, "floating-point.*16-bit"),
        (np.zeros((9, 9), np.float16), {}, "floating-point.*16-bit"),
        (np.zeros((9, 9), np.uint32), {}, "32 bits"),
        (np.zeros((9, 9), np.int16), {}, "signed"),
        (np.zeros((9, 9, 5), np.uint8), {"photometric": "rgb", "extrasamples": ["unspecified"] * 2}, "5 channels"),
        (np.zeros((9, 9, 3), np.uint8), {"photometric": "cielab"}, "colours"),
        (np.zeros((9, 9), np.uint8), {"compression": "lzma"}, "compressed"),
    ],
)
def test_what_is_refused_says_why(tmp_path, samples, how, words):
    tifffile.imwrite(tmp_path / "a.tif", samples, metadata=None, **how)
    with pytest.raises(PictureError, match=words) as caught:
        open_picture(tmp_path / "a.tif")
    assert "a.tif" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("channels", [2, 4])
def test_channels_without_a_meaning_count_as_alpha(tmp_path, gray, channels):
    photometric = "rgb" if channels == 4 else "minisblack"
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.dstack([gray] * channels),
        photometric=photometric,
        extrasamples=["unspecified"],
        planarconfig="contig",
    )
    assert open_picture(tmp_path / "a.tif").pages[0].has_alpha


@pytest.mark.parametrize("bits", [8, 16])
def test_cmyk_without_a_profile(tmp_path, gray, color, bits):
    samples = np.dstack([np.zeros_like(gray)] * 3 + [255 - gray])
    samples = samples if bits == 8 else samples.astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="separated", metadata=None)
    picture = open_picture(tmp_path / "a.tif")
    assert picture.pages[0].bits == bits and "CMYK" in picture.pages[0].notes[0]
    assert np.corrcoef(luma(picture).ravel(), gray.ravel())[0, 1] > 0.98
    save_colored(color(picture), tmp_path / "b.tif", overwrite=False, subsampling="420")
    assert np.array_equal(luma_of(tifffile.imread(tmp_path / "b.tif")), luma(picture))


def test_circles_and_directories_beyond_the_end(tmp_path, gray):
    tifffile.imwrite(tmp_path / "a.tif", gray, metadata=None)
    data = bytearray((tmp_path / "a.tif").read_bytes())
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    struct.pack_into("<I", data, first + 2 + 12 * count, first)
    (tmp_path / "circle.tif").write_bytes(data)
    with pytest.raises(PictureError, match="circle"):
        open_picture(tmp_path / "circle.tif")
    struct.pack_into("<I", data, 4, 10**9)
    (tmp_path / "beyond.tif").write_bytes(data)
    with pytest.raises(PictureError, match="beyond"):
        open_picture(tmp_path / "beyond.tif")


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_blocks_survive_being_read_and_written(order):
    exif = Image.Exif()
    exif.endian = order
    exif[0x010F], exif[0x0112] = "A maker with a long name", 6
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0a long comment"
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    directory, own = parse_block(block)
    again = Image.Exif()
    again.load(block_of(directory, own))
    assert dict(again) == {**dict(again), 0x010F: "A maker with a long name", 0x0112: 6}
    assert again.get_ifd(0x8769)[0x9286] == b"ASCII\0\0\0a long comment"
    turned = Image.Exif()
    turned.load(without_turn(block))
    assert turned[0x0112] == 1 and len(without_turn(block)) == len(block)
    assert without_turn(b"rubbish") == b"rubbish"
