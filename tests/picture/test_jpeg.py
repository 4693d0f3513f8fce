"""JPEG to JPEG keeps the coded luma; and broken files are refused in one line."""

from __future__ import annotations

import struct
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image, ImageCms

import tintype
from tintype.errors import LimitError, PictureError, SaveError, TruncatedError
from tintype.picture import coefficients, jpeg, segments, stripes
from tintype.picture.jpeg_pixels import JpegPixels
from tintype.picture.metadata import SOURCE_TYPE, unstamp
from tintype.picture.picture import ColoredPicture, Picture, from_array
from tintype.picture.reading import ReadOptions
from tintype.refine.guided import enlarge

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"


# --- pictures and colours -------------------------------------------------------------------------------------------


def photograph(name: str) -> Image.Image:
    """One of scikit-image's."""
    return Image.fromarray(getattr(skimage.data, name)()).convert("RGB")


def saved(image: Image.Image, path: Path, **how: object) -> Path:
    """As a JPEG."""
    image.save(path, "JPEG", **how)
    return path


def colored(picture: Picture, colors: Image.Image | float = 0.1, strength: float = 1.0) -> ColoredPicture:
    """With the chroma of `colors`, reduced to 64 pixels, or with random chroma of that deviation."""
    guide = picture.pages[0].pixels.reduced(256)
    h, w = (max(1, round(n * 64 / max(guide.shape))) for n in guide.shape)
    if isinstance(colors, Image.Image):
        planes = colors.convert("YCbCr").resize((w, h), Image.Resampling.BOX).split()[1:]
        coarse = np.stack([(np.asarray(p, np.float32) - 128) / 255 for p in planes], -1) * np.float32(strength)
    else:
        coarse = np.random.default_rng(0).normal(0, colors, (h, w, 2)).astype(np.float32)
    return ColoredPicture(picture, (enlarge(coarse, guide, picture.size),), "test", "00")


def luma_of_file(path: Path) -> tuple[NDArray[np.int16], NDArray[np.uint16]]:
    """Coefficients and table of the first plane."""
    data = path.read_bytes()
    header = segments.parse(data)
    return coefficients.read_luma(segments.plain(data, header), header.frame)


def grey_difference(a: Path, b: Path) -> tuple[float, int]:
    """Share of pixels whose grey differs, and by how much at most."""
    first, second = (np.asarray(Image.open(p).convert("L")).astype(int) for p in (a, b))
    off = np.abs(first - second)
    return float((off > 0).mean()), int(off.max())


def check(source: Path, tmp_path: Path, subsampling: str = "420", colors: Image.Image | float = 0.1) -> Path:
    """Colour it; luma's coefficients, table and size must be the source's, and its grey hardly changed."""
    picture = jpeg.read(source)
    assert jpeg.keeps_coefficients(picture)
    out = tmp_path / f"colored{subsampling}.jpg"
    jpeg.write_colored(colored(picture, colors), out, subsampling, overwrite=True)
    for before, after in zip(luma_of_file(source), luma_of_file(out), strict=True):
        np.testing.assert_array_equal(before, after)
    with Image.open(out) as image:
        image.load()
        assert image.mode == "RGB" and image.size == picture.size[::-1]
    with Image.open(source) as image:
        if image.mode == "L":
            share, most = grey_difference(source, out)
            assert share <= 0.005 and most <= 2, f"{source}: grey of {share:.2%} of the pixels differs, by up to {most}"
    return out


# --- coded luma is kept ---------------------------------------------------------------------------------------------

GREY = {
    "baseline": {"quality": 90},
    "progressive": {"quality": 80, "progressive": True},
    "optimized": {"quality": 60, "optimize": True},
    "restart markers": {"quality": 75, "restart_marker_blocks": 7},
    "finest": {"quality": 100},
    "16-bit table": {"qtables": [[300 + k for k in range(64)]]},
}


@pytest.mark.parametrize("subsampling", ["420", "444"])
@pytest.mark.parametrize("how", GREY)
def test_grey_files_keep_their_coefficients(how: str, subsampling: str, tmp_path: Path) -> None:
    check(saved(photograph("chelsea").convert("L"), tmp_path / "in.jpg", **GREY[how]), tmp_path, subsampling)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (7, 9), (8, 8), (16, 16), (17, 15), (33, 129)])
def test_any_size(size: tuple[int, int], tmp_path: Path) -> None:
    check(saved(photograph("coffee").convert("L").resize(size), tmp_path / "in.jpg"), tmp_path)
    check(saved(photograph("coffee").convert("L").resize(size), tmp_path / "in.jpg"), tmp_path, "444")


def test_a_long_strip(tmp_path: Path) -> None:
    picture = Image.new("L", (5000, 1), 90)
    check(saved(picture, tmp_path / "in.jpg"), tmp_path)
    check(saved(picture.transpose(Image.Transpose.ROTATE_90), tmp_path / "in.jpg"), tmp_path)


def test_one_plane_with_sampling_2x2(tmp_path: Path) -> None:
    data = bytearray(saved(photograph("rocket").convert("L"), tmp_path / "in.jpg").read_bytes())
    data[data.index(b"\xff\xc0") + 11] = 0x22
    (tmp_path / "in.jpg").write_bytes(data)
    check(tmp_path / "in.jpg", tmp_path)


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0", "4:4:0", "4:1:1"])
@pytest.mark.parametrize("progressive", [False, True])
def test_ycbcr_keeps_its_luma_and_gets_new_chroma(subsampling: str, progressive: bool, tmp_path: Path) -> None:
    image = photograph("astronaut").crop((3, 5, 200, 300))
    source = tmp_path / "in.jpg"
    if subsampling in ("4:4:0", "4:1:1"):  # not Pillow's to write
        factors = {"4:4:0": (2, 1), "4:1:1": (1, 4)}[subsampling]
        source.write_bytes(with_sampling(image, factors))
    else:
        saved(image, source, subsampling=subsampling, progressive=progressive)
    out = check(source, tmp_path, colors=photograph("chelsea"))
    with Image.open(out) as new, Image.open(source) as old:
        assert (
            np.abs(
                np.asarray(new.convert("YCbCr")).astype(int)[..., 1:] - np.asarray(old.convert("YCbCr"))[..., 1:]
            ).mean()
            > 5
        )
    pixels = jpeg.read(source).pages[0].pixels
    with Image.open(source) as image:
        image.draft("L", image.size)
        np.testing.assert_array_equal(np.concatenate([b.luma for b in pixels.bands()]), np.asarray(image))


def with_sampling(image: Image.Image, factors: tuple[int, int]) -> bytes:
    """A YCbCr file whose chroma is reduced by `factors` (rows, columns), written plane by plane as three scans."""
    y, cb, cr = image.convert("YCbCr").split()
    small = (-(-image.width // factors[1]), -(-image.height // factors[0]))
    files = [BytesIO() for _ in range(3)]
    for plane, file in zip((y, cb.resize(small), cr.resize(small)), files, strict=True):
        plane.save(file, "JPEG")
    out, scans = b"", b""
    for k, file in enumerate(files):
        data = file.getvalue()
        header = segments.parse(data)
        if k == 0:
            planes = bytes([1, factors[1] << 4 | factors[0], 0, 2, 0x11, 0, 3, 0x11, 0])
            frame = segments.Segment(0xC0, struct.pack(">BHHB", 8, image.height, image.width, 3) + planes)
            out = (
                b"\xff\xd8"
                + b"".join(s.coded() for s in header.segments if s.marker not in segments.FRAMES)
                + frame.coded()
            )
        scans += b"\xff\xda\0\x08\x01" + bytes([k + 1]) + data[header.scan + 6 : -2]
    return out + scans + b"\xff\xd9"


def test_stripes_make_one_file_and_threads_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = saved(photograph("coffee").convert("L"), tmp_path / "in.jpg", quality=85)
    picture = jpeg.read(source)
    monkeypatch.setattr(stripes, "_STRIPE", 600 * 32)
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    jpeg.write_colored(colored(picture), tmp_path / "a.jpg")
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    jpeg.write_colored(colored(picture), tmp_path / "b.jpg")
    assert (tmp_path / "a.jpg").read_bytes() == (tmp_path / "b.jpg").read_bytes()
    assert (tmp_path / "a.jpg").read_bytes().count(b"\xff\xd0") >= 2
    for before, after in zip(luma_of_file(source), luma_of_file(tmp_path / "a.jpg"), strict=True):
        np.testing.assert_array_equal(before, after)
    monkeypatch.undo()
    jpeg.write_colored(colored(picture), tmp_path / "whole.jpg")
    with Image.open(tmp_path / "a.jpg") as a, Image.open(tmp_path / "whole.jpg") as whole:
        # Stripes may differ in how many clipping samples they spare (mending._SHARE), in nothing else.
        assert np.abs(np.asarray(a).astype(int) - np.asarray(whole)).mean() < 0.5


# --- grey hardly changes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quality", [30, 50, 75, 90, 98])
@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea", "rocket"])
def test_grey_of_photographs_in_their_own_colours(name: str, quality: int, tmp_path: Path) -> None:
    image = photograph(name)
    check(saved(image.convert("L"), tmp_path / "in.jpg", quality=quality), tmp_path, colors=image)


@pytest.mark.parametrize("name", ["camera", "moon", "text", "clock"])
def test_grey_of_photographs_in_any_colour(name: str, tmp_path: Path) -> None:
    source = saved(photograph(name).convert("L"), tmp_path / "in.jpg", quality=80)
    for amount in (0.03, 0.3):
        check(source, tmp_path, colors=amount)
        check(source, tmp_path, "444", colors=amount)


def test_grey_of_the_examples(tmp_path: Path) -> None:
    files = sorted((ROOT / "examples").glob("**/*.jp*g"))
    assert files
    for source in files:
        check(source, tmp_path, colors=0.08)


@pytest.mark.parametrize("folder", ["historic"])
def test_grey_of_old_photographs(folder: str, tmp_path: Path) -> None:
    files = sorted((SHARED / folder).glob("*.jpg"))[::4]
    if not files:
        pytest.skip(f"no pictures in ../shared/data/{folder}: they are not part of the repository")
    kept = 0
    for source in files:
        if jpeg.keeps_coefficients(jpeg.read(source)):
            check(source, tmp_path, colors=0.08)
            kept += 1
    assert kept


@pytest.mark.parametrize("subsampling", ["420", "444"])
def test_pictures_that_are_all_edges_change_little_too(subsampling: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).choice([0, 4, 128, 250, 255], (256, 256)).astype(np.uint8)
    halves = np.where(np.add.outer(np.arange(256), np.arange(300)) // 37 % 2, 252, 3).astype(np.uint8)
    for luma, quality in ((noise, 95), (halves, 40)):
        source = saved(Image.fromarray(luma), tmp_path / "in.jpg", quality=quality)
        jpeg.write_colored(colored(jpeg.read(source), 0.3), tmp_path / "out.jpg", subsampling, overwrite=True)
        share, most = grey_difference(source, tmp_path / "out.jpg")
        assert share <= 0.02 and most <= 2


# --- what travels with it -------------------------------------------------------------------------------------------


def grey_profile() -> bytes:
    """A grey ICC profile, gamma 2.2."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, 563) + b"\0\0"
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    text = b"desc" + bytes(4) + struct.pack(">I", 5) + b"Grey\0" + bytes(79)
    body, table, at = b"", struct.pack(">I", 3), 128 + 4 + 36
    for name, data in ((b"desc", text), (b"wtpt", white), (b"kTRC", curve)):
        table += struct.pack(">4sII", name, at + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = bytearray(128)
    struct.pack_into(">I4sI4s4s4s", head, 0, at + len(body), b"\0" * 4, 0x02400000, b"mntr", b"GRAY", b"XYZ ")
    head[36:40] = b"acsp"
    struct.pack_into(">3i", head, 68, 63190, 65536, 54061)
    return bytes(head) + table + body


def with_everything(path: Path, **more: object) -> Path:
    """A grey JPEG with EXIF (orientation 6), a grey profile, a comment, IPTC, an odd density, and an unknown segment."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "Grandmother"
    data = saved(
        photograph("camera").convert("L"),
        path,
        quality=88,
        exif=exif,
        icc_profile=grey_profile(),
        comment=b"hello",
        dpi=(301, 299),
        **more,
    ).read_bytes()
    iptc = b"\x1c\x02\x78\0\x05there"
    photoshop = segments.Segment(
        0xED, segments.PHOTOSHOP + b"8BIM\x04\x04\0\0" + struct.pack(">I", len(iptc)) + iptc
    ).coded()
    mpf = segments.Segment(0xE2, segments.MPF + b"II*\0" + bytes(20)).coded()
    path.write_bytes(
        data[:20] + photoshop + mpf + segments.Segment(0xE7, b"unknown").coded() + data[20:] + b"garbage after the end"
    )
    return path


def notes(path: Path) -> list[segments.Segment]:
    """Everything that isn't coding, but MPF's index."""
    return [
        s
        for s in segments.parse(path.read_bytes()).segments
        if segments.is_note(s) and not s.is_(segments.APP2, segments.MPF)
    ]


@pytest.mark.parametrize("xmp", [None, "packet", "long"])
def test_markers_are_kept_and_gray_gives_the_original_back(xmp: str | None, tmp_path: Path) -> None:
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">%s</rdf:RDF></x:xmpmeta>'
    source = with_everything(
        tmp_path / "in.jpg", **({} if xmp is None else {"xmp": packet % (b"<!-- -->" * (8150 if xmp == "long" else 1))})
    )
    picture = jpeg.read(source)
    metadata = picture.pages[0].metadata
    assert (metadata.dpi, metadata.orientation, metadata.iptc, metadata.icc) == (
        (301, 299),
        6,
        b"\x1c\x02\x78\0\x05there",
        grey_profile(),
    )
    out = check(source, tmp_path)
    before, after = notes(source), notes(out)
    same = [s for s in after if not s.is_(segments.APP2, segments.ICC) and not s.is_(segments.APP1, segments.XMP)]
    if xmp == "long":
        assert unstamp(same.pop().payload)[0] is None  # the statement is in a comment; the packet stays
    assert same == [
        s for s in before if not s.is_(segments.APP2, segments.ICC) and not s.is_(segments.APP1, segments.XMP)
    ]
    assert SOURCE_TYPE.encode() in out.read_bytes()
    profile = ImageCms.ImageCmsProfile(BytesIO(Image.open(out).info["icc_profile"]))
    assert profile.profile.xcolor_space == "RGB "
    jpeg.write_gray(jpeg.read(out), tmp_path / "gray.jpg")
    assert notes(tmp_path / "gray.jpg") == before
    for first, second in zip(luma_of_file(source), luma_of_file(tmp_path / "gray.jpg"), strict=True):
        np.testing.assert_array_equal(first, second)
    with Image.open(tmp_path / "gray.jpg") as gray, Image.open(source) as old:
        assert gray.mode == "L"
        np.testing.assert_array_equal(np.asarray(gray), np.asarray(old))


def test_a_profile_in_several_pieces(tmp_path: Path) -> None:
    large = bytearray(grey_profile() + bytes(200_000))
    struct.pack_into(">I", large, 0, len(large))
    source = saved(photograph("camera").convert("L"), tmp_path / "in.jpg", icc_profile=bytes(large))
    out = check(source, tmp_path)
    assert len(Image.open(out).info["icc_profile"]) > 200_000
    jpeg.write_gray(jpeg.read(out), tmp_path / "gray.jpg")
    assert Image.open(tmp_path / "gray.jpg").info["icc_profile"] == bytes(large)
    assert (tmp_path / "gray.jpg").stat().st_size < out.stat().st_size


def test_gray_of_a_grey_file_is_the_file(tmp_path: Path) -> None:
    source = saved(photograph("camera").convert("L"), tmp_path / "in.jpg", progressive=True)
    jpeg.write_gray(jpeg.read(source), tmp_path / "gray.jpg")
    assert (tmp_path / "gray.jpg").read_bytes() == source.read_bytes()


def test_coloured_twice_is_grey_once(tmp_path: Path) -> None:
    source = with_everything(tmp_path / "in.jpg")
    jpeg.write_colored(colored(jpeg.read(source)), tmp_path / "once.jpg")
    jpeg.write_colored(colored(jpeg.read(tmp_path / "once.jpg"), 0.05), tmp_path / "twice.jpg")
    jpeg.write_gray(jpeg.read(tmp_path / "twice.jpg"), tmp_path / "gray.jpg")
    assert notes(tmp_path / "gray.jpg") == notes(source)


def test_adobes_marker_in_a_grey_file_does_not_make_it_rgb(tmp_path: Path) -> None:
    data = saved(photograph("camera").convert("L"), tmp_path / "in.jpg").read_bytes()
    header = segments.parse(data)
    adobe = segments.Segment(segments.APP14, b"Adobe\0\x64\0\0\0\0\0").coded()
    (tmp_path / "in.jpg").write_bytes(
        b"\xff\xd8" + adobe + b"".join(s.coded() for s in header.segments[1:]) + data[header.scan :]
    )
    out = check(tmp_path / "in.jpg", tmp_path)
    jpeg.write_gray(jpeg.read(out), tmp_path / "gray.jpg")
    assert notes(tmp_path / "gray.jpg") == notes(tmp_path / "in.jpg")


def test_without_any_marker_it_is_still_ycbcr(tmp_path: Path) -> None:
    data = saved(photograph("camera").convert("L"), tmp_path / "in.jpg").read_bytes()
    header = segments.parse(data)
    (tmp_path / "in.jpg").write_bytes(
        b"\xff\xd8" + b"".join(s.coded() for s in header.segments[1:]) + data[header.scan :]
    )
    check(tmp_path / "in.jpg", tmp_path)


# --- luma that must be coded anew -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["RGB", "CMYK"])
def test_other_codings_are_coded_anew_and_say_so(kind: str, tmp_path: Path) -> None:
    image = photograph("astronaut").resize((200, 180))
    how = {"keep_rgb": True} if kind == "RGB" else {}
    source = saved(image if kind == "RGB" else image.convert("CMYK"), tmp_path / "in.jpg", quality=95, **how)
    picture = jpeg.read(source)
    assert not jpeg.keeps_coefficients(picture)
    assert any("coded anew" in note for note in picture.pages[0].notes)
    luma = np.concatenate([b.luma for b in picture.pages[0].pixels.bands()])
    if kind == "RGB":
        np.testing.assert_array_equal(luma, np.asarray(Image.open(source).convert("L")))
    jpeg.write_colored(colored(picture, image), tmp_path / "out.jpg")
    off = np.abs(np.asarray(Image.open(tmp_path / "out.jpg").convert("L")).astype(int) - luma)
    assert off.mean() < 2 and off.max() < 30


def test_pictures_of_other_formats(tmp_path: Path) -> None:
    luma = np.asarray(photograph("coffee").convert("L"))
    jpeg.write_colored(colored(from_array(luma), photograph("coffee")), tmp_path / "out.jpg")
    off = np.abs(np.asarray(Image.open(tmp_path / "out.jpg").convert("L")).astype(int) - luma)
    assert off.mean() < 1.5
    assert SOURCE_TYPE.encode() in (tmp_path / "out.jpg").read_bytes()


# --- reduced copies -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(3001, 2003), (640, 427), (1, 3000), (50, 20)])
@pytest.mark.parametrize("longest", [16, 256, 640, 2000])
def test_reduced_is_the_mean_of_the_whole(size: tuple[int, int], longest: int, tmp_path: Path) -> None:
    source = saved(photograph("astronaut").convert("L").resize(size), tmp_path / "in.jpg", quality=95)
    pixels = jpeg.read(source).pages[0].pixels
    whole = from_array(np.concatenate([b.luma for b in pixels.bands()])).pages[0].pixels.reduced(longest)
    small = pixels.reduced(longest)
    assert small.shape == whole.shape and small.dtype == np.float32
    assert np.abs(small - whole).mean() < 0.004 and np.abs(small - whole).max() < 0.12


def test_a_large_file_is_not_decoded_whole_for_a_small_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = saved(Image.new("L", (6000, 4000), 77), tmp_path / "in.jpg")
    sizes = []
    decoded = JpegPixels._luma
    monkeypatch.setattr(
        JpegPixels,
        "_luma",
        lambda self, *how, **more: sizes.append((luma := decoded(self, *how, **more)).shape) or luma,
    )
    jpeg.read(source).pages[0].pixels.reduced(640)
    assert sizes == [(1000, 1500, 1)]


# --- bad input ------------------------------------------------------------------------------------------------------


def damaged(kind: str, data: bytes) -> bytes:
    """A JPEG with something wrong in its coded data."""
    middle = len(data) // 2
    if kind == "end in the middle":
        return data[:middle] + b"\xff\xd9" + data[middle:]
    noise = np.random.default_rng(0).integers(0, 255, 40, dtype=np.uint8).tobytes()
    return data[:middle] + noise + data[middle + 40 :]


@pytest.mark.parametrize("kind", ["end in the middle", "noise"])
@pytest.mark.parametrize("progressive", [False, True])
def test_lost_samples_are_never_passed_over(kind: str, progressive: bool, tmp_path: Path) -> None:
    source = saved(photograph("camera"), tmp_path / "in.jpg", quality=90, progressive=progressive)
    source.write_bytes(damaged(kind, source.read_bytes()))
    try:
        assert any("damaged" in note for note in jpeg.read(source).pages[0].notes)
    except PictureError as error:
        assert "damaged" in str(error) and "--allow-truncated" in str(error)
        page = jpeg.read(source, ReadOptions(allow_truncated=True)).pages[0]
        assert any("damaged" in note for note in page.notes)


def test_a_file_that_lacks_only_its_end_marker_keeps_its_coefficients(tmp_path: Path) -> None:
    source = saved(photograph("camera"), tmp_path / "in.jpg", quality=90)
    whole = np.concatenate([b.luma for b in jpeg.read(source).pages[0].pixels.bands()])
    for missing in (1, 2):
        (tmp_path / "cut.jpg").write_bytes(source.read_bytes()[:-missing])
        picture = jpeg.read(tmp_path / "cut.jpg", ReadOptions(allow_truncated=True))
        assert jpeg.keeps_coefficients(picture)
        assert np.array_equal(np.concatenate([b.luma for b in picture.pages[0].pixels.bands()]), whole)


def test_libjpeg_says_nothing_itself(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = saved(photograph("camera"), tmp_path / "in.jpg", quality=90)
    data = source.read_bytes()
    source.write_bytes(data[:-2] + bytes(100) + data[-2:])
    picture = jpeg.read(source)
    assert any("extraneous" in note for note in picture.pages[0].notes) and jpeg.keeps_coefficients(picture)
    tintype.Colorizer("wash").colorize(picture).save(tmp_path / "out.jpg")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("progressive", [False, True])
def test_broken_bytes_are_never_filled_with_what_was_in_memory(progressive: bool, tmp_path: Path) -> None:
    source = saved(photograph("camera").resize((160, 128)), tmp_path / "in.jpg", quality=85, progressive=progressive)
    data = source.read_bytes()
    seen = 0
    for at in np.random.default_rng(1).integers(segments.parse(data).scan, len(data) - 2, 40):
        source.write_bytes(data[:at] + b"\xff" + data[at + 1 :])
        for options in (ReadOptions(), ReadOptions(allow_truncated=True)):
            try:
                first, second = (
                    np.concatenate([b.luma for b in jpeg.read(source, options).pages[0].pixels.bands()]) for _ in "12"
                )
            except PictureError:
                continue
            seen += 1
            assert np.array_equal(first, second)
    assert seen


def test_a_harmless_warning_hides_no_loss(tmp_path: Path) -> None:
    source = saved(photograph("camera").convert("L"), tmp_path / "in.jpg", quality=85, restart_marker_rows=1)
    data = source.read_bytes()
    first = data.index(b"\xff\xd0", segments.parse(data).scan)
    source.write_bytes((data[:first] + bytes(5) + data[first:])[: len(data) // 2])
    with pytest.raises(PictureError, match="allow-truncated"):
        jpeg.read(source)


@pytest.mark.parametrize("kind", ["progressive", "odd sampling"])
def test_what_may_lack_a_part_is_not_called_whole(kind: str, tmp_path: Path) -> None:
    source = saved(photograph("camera"), tmp_path / "in.jpg", quality=85, progressive=kind == "progressive")
    data = source.read_bytes()
    if kind == "progressive":
        scan = segments.parse(data).scan
        data = data[: data.index(b"\xff\xda", scan + 2)]
    else:  # 2x2, 1x2, 2x1: libjpeg decodes it, TurboJPEG does not
        at = data.index(b"\xff\xc0") + 10
        data = data[: at + 4] + b"\x12" + data[at + 5 : at + 7] + b"\x21" + data[at + 8 :]
        data = data[: 2 * len(data) // 3]
    source.write_bytes(data)
    picture = jpeg.read(source, ReadOptions(allow_truncated=True))
    assert not jpeg.keeps_coefficients(picture)
    assert any("grey" in note for note in picture.pages[0].notes)


def frame_at(data: bytes) -> int:
    return data.index(b"\xff\xc0") + 4


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda d: b"",
    "only the start": lambda d: d[:2],
    "no frame": lambda d: d[: d.index(b"\xff\xc0")] + d[d.index(b"\xff\xc4") :],
    "no height": lambda d: d[: frame_at(d) + 1] + b"\0\0" + d[frame_at(d) + 3 :],
    "no width": lambda d: d[: frame_at(d) + 3] + b"\0\0" + d[frame_at(d) + 5 :],
    "no planes": lambda d: d[: frame_at(d) + 5] + b"\0" + d[frame_at(d) + 6 :],
    "seven planes": lambda d: d[: frame_at(d) + 5] + b"\x07" + d[frame_at(d) + 6 :],
    "12 bits": lambda d: d[: frame_at(d)] + b"\x0c" + d[frame_at(d) + 1 :],
    "arithmetic": lambda d: d.replace(b"\xff\xc0", b"\xff\xc9", 1),
    "lossless": lambda d: d.replace(b"\xff\xc0", b"\xff\xc3", 1),
    "sampling 0": lambda d: d[: frame_at(d) + 7] + b"\0" + d[frame_at(d) + 8 :],
    "sampling 15": lambda d: d[: frame_at(d) + 7] + b"\xff" + d[frame_at(d) + 8 :],
    "no tables": lambda d: d[: d.index(b"\xff\xdb")] + d[d.index(b"\xff\xc0") :],
    "length 0": lambda d: d[:4] + b"\0\0" + d[6:],
    "text": lambda d: b"\xff\xd8 I am no picture",
    "65535 x 65535": lambda d: d[: frame_at(d) + 1] + b"\xff" * 4 + d[frame_at(d) + 5 :],
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "in.jpg"
    path.write_bytes(BROKEN[name](saved(photograph("rocket").convert("L"), path).read_bytes()))
    with pytest.raises((PictureError, LimitError)) as caught:
        jpeg.read(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    with pytest.raises(PictureError):
        jpeg.read(path, ReadOptions(max_pixels=10**10))


def test_limits_and_missing_files(tmp_path: Path) -> None:
    source = saved(photograph("rocket").convert("L"), tmp_path / "in.jpg")
    with pytest.raises(LimitError):
        jpeg.read(source, ReadOptions(max_pixels=1000))
    with pytest.raises(PictureError):
        jpeg.read(tmp_path / "missing.jpg")


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_truncated_files(part: float, progressive: bool, tmp_path: Path) -> None:
    data = saved(photograph("rocket").convert("L"), tmp_path / "in.jpg", progressive=progressive).read_bytes()
    (tmp_path / "in.jpg").write_bytes(data[: int(part * len(data))])
    with pytest.raises(TruncatedError):
        jpeg.read(tmp_path / "in.jpg")
    picture = jpeg.read(tmp_path / "in.jpg", ReadOptions(allow_truncated=True))
    assert any("too early" in note for note in picture.pages[0].notes)
    jpeg.write_colored(colored(picture), tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as image:
        image.load()
    jpeg.write_gray(picture, tmp_path / "gray.jpg")


def test_only_the_end_marker_is_missing(tmp_path: Path) -> None:
    source = saved(photograph("rocket").convert("L"), tmp_path / "in.jpg")
    source.write_bytes(source.read_bytes()[:-2])
    try:
        picture = jpeg.read(source)
    except TruncatedError:
        picture = jpeg.read(source, ReadOptions(allow_truncated=True))
    jpeg.write_colored(colored(picture), tmp_path / "out.jpg")


def test_damage_never_ends_the_process_or_leaves_anything_behind(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for progressive in (False, True):
        for mode in ("L", "RGB"):
            whole = saved(
                photograph("rocket").resize((160, 120)).convert(mode), tmp_path / "in.jpg", progressive=progressive
            ).read_bytes()
            for _ in range(15):
                data = bytearray(whole)
                for _ in range(rng.integers(1, 6)):
                    data[rng.integers(2, len(data))] = rng.integers(0, 256)
                (tmp_path / "in.jpg").write_bytes(data)
                try:
                    picture = jpeg.read(tmp_path / "in.jpg", ReadOptions(max_pixels=10**6))
                    jpeg.write_colored(colored(picture), tmp_path / "out.jpg", overwrite=True)
                    Image.open(tmp_path / "out.jpg").load()
                    jpeg.write_gray(jpeg.read(tmp_path / "out.jpg"), tmp_path / "gray.jpg", overwrite=True)
                except (PictureError, LimitError, SaveError) as error:
                    assert "\n" not in str(error)
                assert {p.name for p in tmp_path.iterdir()} <= {"in.jpg", "out.jpg", "gray.jpg"}


@pytest.mark.parametrize("what", ["exif", "icc", "xmp", "photoshop", "mpf"])
def test_broken_notes(what: str, tmp_path: Path) -> None:
    data = saved(photograph("camera").convert("L"), tmp_path / "in.jpg").read_bytes()
    segment = {
        "exif": segments.Segment(0xE1, segments.EXIF + b"II*\0\xff\xff\xff\xff"),
        "icc": segments.Segment(0xE2, segments.ICC + b"\x02\x03missing pieces"),
        "xmp": segments.Segment(0xE1, segments.XMP + b"<broken"),
        "photoshop": segments.Segment(0xED, segments.PHOTOSHOP + b"8BIM\x04\x04\xff\0\xff\xff\xff"),
        "mpf": segments.Segment(0xE2, segments.MPF + b"\xff" * 9),
    }[what]
    (tmp_path / "in.jpg").write_bytes(data[:20] + segment.coded() + data[20:])
    out = check(tmp_path / "in.jpg", tmp_path)
    jpeg.write_gray(jpeg.read(out), tmp_path / "gray.jpg")
    assert notes(tmp_path / "gray.jpg") == notes(tmp_path / "in.jpg")


# --- whole files or none --------------------------------------------------------------------------------------------


def test_nothing_is_overwritten_unless_asked(tmp_path: Path) -> None:
    source = saved(photograph("rocket").convert("L"), tmp_path / "in.jpg")
    before = source.read_bytes()
    result = colored(jpeg.read(source))
    for target in (source, tmp_path / "." / "in.jpg"):
        with pytest.raises(SaveError):
            jpeg.write_colored(result, target, overwrite=True)
    (tmp_path / "out.jpg").write_bytes(b"mine")
    with pytest.raises(SaveError):
        jpeg.write_colored(result, tmp_path / "out.jpg")
    assert (tmp_path / "out.jpg").read_bytes() == b"mine" and source.read_bytes() == before
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SaveError):
        jpeg.write_colored(result, tmp_path / "file" / "out.jpg")
    with pytest.raises(SaveError):
        jpeg.write_colored(result, tmp_path)
    jpeg.write_colored(result, tmp_path / "new" / "folder" / "out.jpg")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "in.jpg", "new", "out.jpg"]


def test_an_error_while_writing_leaves_nothing(tmp_path: Path) -> None:
    class Failing:
        def rows(self, *_: object) -> None:
            raise KeyboardInterrupt

    source = saved(photograph("rocket").convert("L"), tmp_path / "in.jpg")
    with pytest.raises(KeyboardInterrupt):
        jpeg.write_colored(ColoredPicture(jpeg.read(source), (Failing(),), "x"), tmp_path / "out.jpg")
    assert [p.name for p in tmp_path.iterdir()] == ["in.jpg"]
