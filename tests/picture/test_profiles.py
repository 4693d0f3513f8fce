"""Profiles: greys look the same after as before, colours look as meant, a grey profile comes back byte for byte."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import pyvips
import skimage.color
import tifffile
from PIL import Image, ImageCms

from tintype.errors import PictureError
from tintype.picture.color import luma_of, merge, split
from tintype.picture.files import ReadOptions, open_picture, save_colored, save_gray
from tintype.picture.profiles import judge, original_grey, space_of

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def profile(space, tags, pcs=b"XYZ ", kind=b"mntr"):
    """A version 2 profile of given tags."""
    table, data, at = b"", b"", 132 + 12 * len(tags)
    for name, payload in tags:
        table += struct.pack(">4sII", name, at + len(data), len(payload))
        data += payload + bytes(-len(payload) % 4)
    head = bytearray(128)
    struct.pack_into(">I4sI4s4s4s", head, 0, at + len(data), b"", 0x02400000, kind, space, pcs)
    head[24:36] = struct.pack(">6H", 1999, 1, 2, 3, 4, 5)
    head[36:40] = b"acsp"
    struct.pack_into(">3i", head, 68, 63190, 65536, 54061)
    return bytes(head) + struct.pack(">I", len(tags)) + table + data


def xyz(*value):
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(v * 65536) for v in value))


def gamma(value):
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(value * 256))


DESC = b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(79)
WHITE = (0.9642, 1.0, 0.8249)


def grey(curve, pcs=b"XYZ "):
    return profile(b"GRAY", [(b"desc", DESC), (b"wtpt", xyz(*WHITE)), (b"kTRC", curve)], pcs)


def dot_gain():
    x = np.linspace(0, 1, 256)
    table = np.rint(65535 * (x**1.6 * 0.9 + x * 0.1)).astype(">u2")
    return b"curv" + bytes(4) + struct.pack(">I", 256) + table.tobytes()


def wide(tinted=False):
    """Adobe RGB's primaries and a gamma of 2.2; tinted: with a white that isn't."""
    columns = np.array([[0.60974, 0.31111, 0.01947], [0.20528, 0.62567, 0.06087], [0.14919, 0.06322, 0.74457]])
    if tinted:
        columns = columns * np.array([[1.0], [0.9], [0.7]])
    curve = gamma(2.19921875)
    tags = [(b"desc", DESC), (b"wtpt", xyz(*WHITE))]
    tags += [(name, xyz(*c)) for name, c in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)]
    return profile(b"RGB ", tags + [(name, curve) for name in (b"rTRC", b"gTRC", b"bTRC")])


GREYS = {
    "gamma 1.8": grey(gamma(1.8)),
    "gamma 2.2": grey(gamma(2.2)),
    "dot gain": grey(dot_gain()),
    "lab": grey(gamma(1.0), b"Lab "),
}


def lab_of(samples, icc):
    """CIELAB through lcms, by vips, of samples (h, w, C) in 16 bits."""
    kind = "grey16" if samples.shape[2] == 1 else "rgb16"
    image = pyvips.Image.new_from_array(samples, interpretation=kind).copy()
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", icc)
    return image.icc_import(embedded=True, pcs="lab", intent="relative").numpy()


@pytest.mark.parametrize("name", list(GREYS))
def test_a_grey_profile_becomes_an_rgb_profile_that_means_the_same(name):
    icc = GREYS[name]
    space = space_of(icc)
    ramp = np.linspace(0, 65535, 1000).astype(np.uint16)[None, :, None]
    before, after = lab_of(ramp, icc), lab_of(np.repeat(ramp, 3, 2), space.rgb_profile)
    assert np.abs(before - after).max() < 0.6  # lcms itself rounds the darkest greys of a table
    assert original_grey(space.rgb_profile) == icc
    seen = ImageCms.ImageCmsProfile(io.BytesIO(space.rgb_profile))
    transform = ImageCms.buildTransform(seen, ImageCms.createProfile("sRGB"), "RGB", "RGB")
    out = np.asarray(
        ImageCms.applyTransform(Image.fromarray(np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, 2)), transform)
    )
    expected = space.to_srgb(np.linspace(0, 1, 256, dtype=np.float32)) * 255
    assert np.abs(out[0] - expected[:, None]).max() <= 1.6


@pytest.mark.parametrize("icc", [wide(), *GREYS.values()], ids=["wide", *GREYS])
def test_colours_look_as_meant(icc):
    """Chroma said in the file's coding, joined with the file's luma, gives sRGB's colour in CIELAB."""
    space = space_of(icc)
    luma = np.linspace(0.25, 0.75, 21, dtype=np.float32)[None]
    chroma = np.broadcast_to(np.array([0.03, -0.05], np.float32), (1, 21, 2))
    own = np.clip(merge(luma, space.from_srgb(luma, chroma)), 0, 1)
    meant = np.clip(merge(space.to_srgb(luma), chroma), 0, 1)
    got = lab_of(np.rint(own * 65535).astype(np.uint16), space.rgb_profile)
    want = lab_of(np.rint(meant * 65535).astype(np.uint16), SRGB)
    assert np.abs(got - want).max() < 2.5
    assert np.abs(got - want).mean() < 1


def test_no_profile_and_srgb_change_nothing():
    luma = np.random.default_rng(0).random((5, 7), np.float32)
    chroma = split(np.random.default_rng(1).random((5, 7, 3), np.float32))[1] * np.float32(0.2)
    assert space_of(None).rgb_profile is None
    assert space_of(None).to_srgb(luma) is luma and space_of(None).from_srgb(luma, chroma) is chroma
    space = space_of(SRGB)
    assert space.rgb_profile == SRGB and np.abs(space.to_srgb(luma) - luma).max() < 2e-3


def test_verdicts():
    assert judge(wide(), 3) == judge(wide(), 1) == judge(SRGB, 3) == judge(None, 1) == "keep"
    assert judge(wide(tinted=True), 3) == "convert" and judge(wide(tinted=True), 1) == "mismatch"
    assert judge(GREYS["dot gain"], 1) == "keep" and judge(None, 4) == "convert"
    for broken in (b"", b"no profile", SRGB[:150], SRGB[:128] + b"\xff" * 400, bytes(500)):
        with pytest.raises(ValueError):
            judge(broken, 3)
            space_of(broken)
    assert original_grey(None) is None and original_grey(b"x" * 200) is None and original_grey(SRGB) is None


@pytest.mark.parametrize("kind", [".tif", ".png", ".webp", ".jp2", ".avif"])
@pytest.mark.parametrize("name", ["gamma 1.8", "dot gain"])
def test_files_with_a_grey_profile(tmp_path, gray, color, kind, name):
    icc = GREYS[name]
    Image.fromarray(gray).save(tmp_path / "a.png", icc_profile=icc)
    picture = open_picture(tmp_path / "a.png")
    save_colored(color(picture), tmp_path / f"b{kind}", overwrite=False, subsampling="420")
    colored = open_picture(tmp_path / f"b{kind}")
    ramp = np.linspace(0, 65535, 300).astype(np.uint16)[None, :, None]
    assert np.abs(lab_of(ramp, icc) - lab_of(np.repeat(ramp, 3, 2), colored.pages[0].metadata.icc)).max() < 0.6
    save_gray(colored, tmp_path / "c.png", overwrite=False)
    assert Image.open(tmp_path / "c.png").info["icc_profile"] == icc


def test_wide_gamut_is_kept_and_a_tinted_axis_is_converted(tmp_path, rgb, color):
    tifffile.imwrite(tmp_path / "a.tif", rgb, photometric="rgb", iccprofile=wide())
    picture = open_picture(tmp_path / "a.tif")
    assert picture.pages[0].metadata.icc == wide() and not picture.pages[0].notes
    tifffile.imwrite(tmp_path / "b.tif", rgb, photometric="rgb", iccprofile=wide(tinted=True))
    converted = open_picture(tmp_path / "b.tif")
    assert converted.pages[0].metadata.icc is None and "sRGB" in converted.pages[0].notes[0]
    luma = np.concatenate([b.luma for b in converted.pages[0].pixels.bands()])
    lightness = lab_of(rgb.astype(np.uint16) * 257, wide(tinted=True))[..., 0]
    assert np.corrcoef(luma.ravel(), lightness.ravel())[0, 1] > 0.97
    save_colored(color(converted), tmp_path / "c.tif", overwrite=False, subsampling="420")
    assert np.array_equal(luma_of(tifffile.imread(tmp_path / "c.tif")), luma)


@pytest.mark.parametrize("kind", [".png", ".tif", ".webp", ".jp2"])
def test_a_broken_profile_is_an_error_with_a_remedy(tmp_path, rgb, kind):
    Image.fromarray(rgb).save(tmp_path / f"a{kind}", icc_profile=SRGB[:200])
    if kind == ".jp2":  # Pillow writes none
        return
    with pytest.raises(PictureError, match="--ignore-profile") as caught:
        open_picture(tmp_path / f"a{kind}")
    assert "\n" not in str(caught.value)
    assert open_picture(tmp_path / f"a{kind}", ReadOptions(ignore_profile=True)).pages[0].metadata.icc is None


def test_skimage_agrees_about_srgb_lightness():
    rgb = np.linspace(0, 1, 50)[None, :, None].repeat(3, 2)
    grey = space_of(GREYS["lab"])  # its codes are L* / 100
    codes = skimage.color.rgb2lab(rgb)[0, :, 0].astype(np.float32) / 100
    assert np.abs(grey.to_srgb(codes) - rgb[0, :, 0]).max() < 0.01
