"""Every format: exact luma for every pixel, size, depth, alpha and metadata kept, the original back, and bad input refused in one line."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import pyvips
import skimage.data
import tifffile
from openjpeg.utils import decode, encode_array
from PIL import Image, ImageCms

from tintype.errors import LimitError, ModelError, PictureError, SaveError, TintypeError, TruncatedError, UsageError
from tintype.picture.color import luma_of
from tintype.picture.files import EXTENSIONS, ReadOptions, open_picture, save_colored, save_gray, save_side_by_side
from tintype.picture.metadata import orientation_of, unstamp

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif_block(orientation=6):
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x013B] = "Maker", orientation, "An artist"
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0a comment"
    return exif.tobytes().removeprefix(b"Exif\0\0")


def luma(picture, page=0):
    return np.concatenate([b.luma for b in picture.pages[page].pixels.bands()])


def alpha(picture, page=0):
    return np.concatenate([b.alpha for b in picture.pages[page].pixels.bands()])


def write(path, array, **kw):
    """A file of grey, RGB or with alpha, by another writer than ours."""
    kind, squeezed = path.suffix, np.ascontiguousarray(array)
    if kind == ".tif":
        tifffile.imwrite(
            path,
            squeezed,
            photometric="rgb" if squeezed.ndim == 3 and squeezed.shape[2] > 2 else "minisblack",
            metadata=None,
            **kw,
        )
    elif kind == ".png":
        pyvips.Image.new_from_array(squeezed, interpretation=_interpretation(squeezed)).pngsave(str(path), **kw)
    elif kind == ".jp2":
        if squeezed.dtype == np.uint8:
            Image.fromarray(squeezed).save(path, irreversible=False)
        else:
            path.write_bytes(
                encode_array(squeezed, photometric_interpretation=1 if squeezed.ndim == 3 else 2, codec_format=1)
            )
    elif kind == ".avif":
        pyvips.Image.new_from_array(squeezed, interpretation="srgb" if squeezed.ndim == 3 else "b-w").heifsave(
            str(path), compression="av1", lossless=True
        )
    elif kind == ".webp":
        Image.fromarray(squeezed).save(path, lossless=True, exact=True)
    elif kind == ".pnm":
        top = np.iinfo(squeezed.dtype).max
        head = b"P%d\n%d %d\n%d\n" % (6 if squeezed.ndim == 3 else 5, squeezed.shape[1], squeezed.shape[0], top)
        path.write_bytes(head + squeezed.astype(">u2" if top > 255 else np.uint8).tobytes())
    else:
        Image.fromarray(squeezed).save(path, **kw)


def _interpretation(array):
    names = {1: ("b-w", "grey16"), 2: ("b-w", "grey16"), 3: ("srgb", "rgb16"), 4: ("srgb", "rgb16")}
    return names[array.shape[2] if array.ndim == 3 else 1][array.dtype == np.uint16]


def read_back(path):
    """RGB(A) samples by another reader than ours."""
    kind = path.suffix
    if kind == ".tif":
        return tifffile.imread(path)
    if kind == ".png":
        return pyvips.Image.new_from_file(str(path), revalidate=True).numpy()
    if kind == ".jp2":
        return decode(path)
    if kind == ".pnm":
        head, size, top, data = (
            path.read_bytes().split(b"\n", 3) if b"#" not in path.read_bytes()[:20] else _no_comment(path)
        )
        width, height = map(int, size.split())
        assert head == b"P6"
        return (
            np.frombuffer(data, ">u2" if int(top) > 255 else np.uint8)
            .reshape(height, width, 3)
            .astype(np.uint16 if int(top) > 255 else np.uint8)
        )
    return np.asarray(Image.open(path))


def _no_comment(path):
    head, _, rest = path.read_bytes().split(b"\n", 2)
    return head, *rest.split(b"\n", 2)


CASES = [(k, 8) for k in (".png", ".tif", ".webp", ".avif", ".bmp", ".pnm", ".jp2")] + [
    (k, 16) for k in (".png", ".tif", ".pnm", ".jp2")
]


@pytest.mark.parametrize(("kind", "bits"), CASES)
def test_every_pixel_keeps_its_luma_and_gray_gives_the_original(tmp_path, gray, gray16, color, kind, bits):
    original, out, back = (tmp_path / f"{name}{kind}" for name in ("original", "out", "back"))
    array = gray if bits == 8 else gray16
    write(original, array)
    picture = open_picture(original)
    assert (picture.size, picture.pages[0].bits, picture.pages[0].has_alpha) == (array.shape, bits, False)
    assert np.array_equal(luma(picture), array)
    save_colored(color(picture), out, overwrite=False, subsampling="420")
    result = read_back(out)
    assert result.dtype == array.dtype and result.shape == (*array.shape, 3)
    assert np.array_equal(luma_of(result), array)
    assert np.ptp(result.astype(int), axis=2).max() > 0.2 * np.iinfo(array.dtype).max, "it has colour"
    if bits == 8:
        assert np.array_equal(np.asarray(Image.fromarray(result).convert("L")), array)
    save_gray(open_picture(out), back, overwrite=False)
    again = open_picture(back)
    assert np.array_equal(luma(again), array) and again.pages[0].bits == bits
    assert again.pages[0].metadata.xmp is None


@pytest.mark.parametrize(("kind", "bits"), CASES)
def test_colour_input_is_reduced_to_its_luma(tmp_path, rgb, color, kind, bits):
    array = rgb if bits == 8 else rgb.astype(np.uint16) * 257 + np.arange(3, dtype=np.uint16)[None, None] % 2
    write(tmp_path / f"a{kind}", array)
    picture = open_picture(tmp_path / f"a{kind}")
    assert np.array_equal(luma(picture), luma_of(array))
    save_colored(color(picture), tmp_path / f"b{kind}", overwrite=False, subsampling="420")
    assert np.array_equal(luma_of(read_back(tmp_path / f"b{kind}")), luma_of(array))
    save_gray(open_picture(tmp_path / f"b{kind}"), tmp_path / f"c{kind}", overwrite=False)
    assert np.array_equal(luma(open_picture(tmp_path / f"c{kind}")), luma_of(array))


ALPHA = [(".png", 8), (".png", 16), (".tif", 8), (".tif", 16), (".webp", 8), (".avif", 8), (".jp2", 8)]


@pytest.mark.parametrize("grey", [True, False])
@pytest.mark.parametrize(("kind", "bits"), ALPHA)
def test_alpha_is_kept(tmp_path, gray, rgb, color, kind, bits, grey):
    veil = np.broadcast_to(np.linspace(0, 255, gray.shape[1]).astype(np.uint8), gray.shape)
    array = np.dstack([gray, veil]) if grey and kind not in (".webp",) else np.dstack([rgb, veil])
    if bits == 16:
        array = array.astype(np.uint16) * 257
    if kind == ".tif":
        write(tmp_path / "a.tif", array, extrasamples=["unassalpha"], planarconfig="contig")
    else:
        write(tmp_path / f"a{kind}", array)
    picture = open_picture(tmp_path / f"a{kind}")
    assert picture.pages[0].has_alpha and np.array_equal(alpha(picture), array[..., -1])
    save_colored(color(picture), tmp_path / f"b{kind}", overwrite=False, subsampling="420")
    result = read_back(tmp_path / f"b{kind}")
    assert result.shape[2] == 4 and np.array_equal(result[..., 3], array[..., -1])
    assert np.array_equal(luma_of(result[..., :3]), luma(picture))
    save_gray(open_picture(tmp_path / f"b{kind}"), tmp_path / f"c{kind}", overwrite=False)
    again = open_picture(tmp_path / f"c{kind}")
    assert np.array_equal(luma(again), luma(picture)) and np.array_equal(alpha(again), alpha(picture))
    with pytest.raises(SaveError, match=r"transparency"):
        save_colored(color(picture), tmp_path / "d.pnm", overwrite=False, subsampling="420")


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (2, 3), (31, 33)])
@pytest.mark.parametrize("kind", [k for k, bits in CASES if bits == 8])
def test_any_size(tmp_path, color, kind, size):
    array = np.random.default_rng(2).integers(0, 256, size, np.uint8)
    write(tmp_path / f"a{kind}", array)
    picture = open_picture(tmp_path / f"a{kind}")
    assert picture.pages[0].pixels.reduced(64).shape[0] <= 64
    save_colored(color(picture), tmp_path / f"b{kind}", overwrite=False, subsampling="420")
    assert np.array_equal(luma_of(read_back(tmp_path / f"b{kind}")), array)


@pytest.mark.parametrize("kind", [".png", ".tif", ".webp", ".avif", ".jp2"])
def test_metadata_travels_between_formats(tmp_path, gray, color, kind):
    """From a PNG with everything to each format and, taken off again, back to PNG."""
    source = tmp_path / "a.png"
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'></rdf:RDF></x:xmpmeta>"
    save_with_everything(source, gray, exif_block(1 if kind == ".avif" else 6), xmp)
    picture = open_picture(source)
    assert picture.pages[0].metadata.exif == exif_block(1 if kind == ".avif" else 6)
    save_colored(color(picture), tmp_path / f"b{kind}", overwrite=False, subsampling="420")
    made = open_picture(tmp_path / f"b{kind}").pages[0].metadata
    assert made.icc == SRGB
    assert orientation_of(made.exif) == made.orientation == picture.pages[0].metadata.orientation
    assert b"An artist" in made.exif and b"Maker" in made.exif and b"a comment" in made.exif
    assert b"compositeWithTrainedAlgorithmicMedia" in made.xmp
    assert unstamp(made.xmp)[0] == xmp
    if kind not in (".webp", ".avif"):
        assert made.dpi == pytest.approx((300, 150), abs=0.05)
    save_gray(open_picture(tmp_path / f"b{kind}"), tmp_path / "c.png", overwrite=False)
    back = open_picture(tmp_path / "c.png").pages[0].metadata
    assert back.xmp == xmp and back.icc == SRGB and back.orientation == picture.pages[0].metadata.orientation


def save_with_everything(path, array, exif, xmp):
    image = Image.fromarray(array)
    plain = io.BytesIO()
    image.save(plain, "PNG", icc_profile=SRGB, dpi=(300, 150), exif=exif)
    data = plain.getvalue()
    text = b"XML:com.adobe.xmp" + bytes(5) + xmp
    for name, payload in (
        (b"iTXt", text),
        (b"tEXt", b"Comment\0found in the attic"),
        (b"gAMA", struct.pack(">I", 45455)),
    ):
        data = data[:33] + chunk(name, payload) + data[33:]
    path.write_bytes(data)


def chunk(name, payload):
    return struct.pack(">I", len(payload)) + name + payload + struct.pack(">I", zlib.crc32(name + payload))


def test_sixteen_bits_need_a_format_that_holds_them(tmp_path, gray16, color):
    write(tmp_path / "a.png", gray16)
    for kind in (".bmp", ".webp", ".avif"):
        with pytest.raises(SaveError, match=r"16 bits.*\.tif") as caught:
            save_colored(
                color(open_picture(tmp_path / "a.png")), tmp_path / f"b{kind}", overwrite=False, subsampling="420"
            )
        one_line(caught.value, f"b{kind}")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png"]


def test_destinations_that_are_refused(tmp_path, gray, color):
    source = tmp_path / "a.png"
    write(source, gray)
    colored = color(open_picture(source))
    before = source.read_bytes()
    (tmp_path / "there.png").write_bytes(b"precious")
    (tmp_path / "link.png").symlink_to(source)
    for target, overwrite in (
        (source, True),
        (source, False),
        (tmp_path / "link.png", True),
        (tmp_path / "there.png", False),
        (tmp_path, True),
    ):
        with pytest.raises(TintypeError) as caught:
            save_colored(
                colored, target if target.suffix else target.with_suffix(".png"), overwrite=overwrite, subsampling="420"
            ) if target.suffix else save_colored(colored, _folder(tmp_path), overwrite=True, subsampling="420")
        one_line(caught.value)
    with pytest.raises(UsageError, match=r"\.xyz.*\.png"):
        save_colored(colored, tmp_path / "b.xyz", overwrite=False, subsampling="420")
    assert source.read_bytes() == before and (tmp_path / "there.png").read_bytes() == b"precious"
    save_colored(colored, tmp_path / "there.png", overwrite=True, subsampling="420")
    assert luma(open_picture(tmp_path / "there.png")).shape == gray.shape
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def _folder(tmp_path):
    (tmp_path / "folder.png").mkdir()
    return tmp_path / "folder.png"


def test_full_disk(tmp_path, gray, color):
    """/dev/full says "no space left" to every write; a file size limit says it of a real folder."""
    import resource
    import signal

    write(tmp_path / "a.png", np.tile(gray, (4, 4)))
    colored = color(open_picture(tmp_path / "a.png"))
    old, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, old[1]))
        for kind in (".png", ".tif", ".webp", ".avif", ".bmp", ".pnm", ".jp2"):
            with pytest.raises(SaveError) as caught:
                save_colored(colored, tmp_path / f"b{kind}", overwrite=False, subsampling="420")
            one_line(caught.value, f"b{kind}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def one_line(error, *names):
    text = str(error)
    assert "\n" not in text and all(name in text for name in names), text


def test_what_is_no_picture(tmp_path, gray):
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("not a picture at all, but a text of some length")
    (tmp_path / "some.gif").write_bytes(b"GIF89a" + bytes(50))
    for name in ("empty.png", "text.jpg", "some.gif", "missing.png"):
        with pytest.raises(PictureError) as caught:
            open_picture(tmp_path / name)
        one_line(caught.value, name)
    with pytest.raises(PictureError, match="folder"):
        open_picture(tmp_path)


@pytest.mark.parametrize(("kind", "bits"), CASES)
def test_wrong_ending_and_truncation_at_any_place(tmp_path, gray, kind, bits):
    write(tmp_path / f"a{kind}", gray if bits == 8 else gray.astype(np.uint16) * 257)
    whole = (tmp_path / f"a{kind}").read_bytes()
    (tmp_path / "wrong.dat").write_bytes(whole)
    assert np.array_equal(luma(open_picture(tmp_path / "wrong.dat")) >> (bits - 8), gray)
    for share in (0.02, 0.3, 0.6, 0.95):
        (tmp_path / "cut.dat").write_bytes(whole[: max(20, int(len(whole) * share))])
        with pytest.raises(PictureError) as caught:
            luma(open_picture(tmp_path / "cut.dat"))
        one_line(caught.value, "cut.dat")
        assert isinstance(caught.value, TruncatedError), (share, caught.value)
    if kind in (".png", ".tif", ".pnm") and not (kind == ".tif" and bits == 0):
        (tmp_path / "cut.dat").write_bytes(whole[: int(len(whole) * 0.6)])
        assert_read_in_part(tmp_path / "cut.dat", luma(open_picture(tmp_path / f"a{kind}")), at_least=0.5)


def assert_read_in_part(path, whole, at_least):
    """What is there of a cut file is exact, the rest grey, and a note says so."""
    picture = open_picture(path, ReadOptions(allow_truncated=True))
    part = luma(picture)
    half = np.iinfo(part.dtype).max // 2 + 1
    there = int(np.nonzero((part != half).any(1))[0].max()) + 1
    assert at_least * len(whole) <= there < len(whole) == len(part)
    assert np.array_equal(part[:there], whole[:there])
    assert any("grey" in note for note in picture.pages[0].notes)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "1", "P", "I;16"])
@pytest.mark.parametrize("share", [0.3, 0.8, 0.999])
def test_a_cut_png_is_read_to_its_last_whole_row(tmp_path, mode, share):
    image = Image.fromarray(skimage.data.camera())
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    else:
        image = image.convert("RGB").quantize(16) if mode == "P" else image.convert(mode)
    image.save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: int(len(data) * share)])
    assert_read_in_part(tmp_path / "cut.png", luma(open_picture(tmp_path / "a.png")), at_least=0.6 * share)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"rowsperstrip": 7},
        {"rowsperstrip": 7, "compression": "zlib"},
        {"tile": (64, 64)},
        {"planarconfig": "separate", "rowsperstrip": 16},
        {"planarconfig": "separate"},
    ],
)
def test_a_cut_tiff_is_read_as_far_as_all_of_a_row_is_there(tmp_path, how):
    gray = skimage.data.camera()
    planar = "planarconfig" in how
    array = np.stack([gray] * 3) if planar else gray
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="rgb" if planar else "minisblack", metadata=None, **how)
    data = (tmp_path / "a.tif").read_bytes()
    for share in (0.8, 0.999):
        (tmp_path / "cut.tif").write_bytes(data[: int(len(data) * share)])
        assert_read_in_part(tmp_path / "cut.tif", gray, at_least=0.35 if planar else 0.6 * share)


def test_a_png_that_lacks_nothing_but_its_end_is_read_to_its_last_row(tmp_path, gray):
    write(tmp_path / "a.png", gray)
    data = (tmp_path / "a.png").read_bytes()
    for missing in (1, 12, 13, 16, 17, 20, 21):
        (tmp_path / "cut.png").write_bytes(data[:-missing])
        picture = open_picture(tmp_path / "cut.png", ReadOptions(allow_truncated=True))
        assert np.array_equal(luma(picture), gray) and picture.pages[0].notes


def test_a_png_damaged_in_the_middle_is_read_to_there(tmp_path):
    gray = skimage.data.camera()
    Image.fromarray(gray).save(tmp_path / "a.png")
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[len(data) // 2] ^= 0xFF
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(PictureError):
        luma(open_picture(tmp_path / "a.png"))
    picture = open_picture(tmp_path / "a.png", ReadOptions(allow_truncated=True))
    assert np.array_equal(luma(picture)[:150], gray[:150])
    assert any("damaged" in note for note in picture.pages[0].notes)


def test_a_cut_tiff_with_premultiplied_alpha_keeps_its_samples(tmp_path):
    rgba = np.random.default_rng(0).integers(0, 256, (61, 97, 4), np.uint8)
    rgba[..., :3] = np.minimum(rgba[..., :3], rgba[..., 3:])
    tifffile.imwrite(tmp_path / "a.tif", rgba, photometric="rgb", extrasamples=["assocalpha"], metadata=None)
    whole = luma(open_picture(tmp_path / "a.tif"))
    data = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(data[: int(len(data) * 0.6)])
    assert_read_in_part(tmp_path / "cut.tif", whole, at_least=0.5)


def test_pages_before_a_cut_are_kept(tmp_path, gray):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for _ in range(3):
            file.write(gray, photometric="minisblack", metadata=None)
    data = (tmp_path / "a.tif").read_bytes()
    for share, pages in ((0.9, 3), (0.5, 2), (0.2, 1)):
        (tmp_path / "cut.tif").write_bytes(data[: int(len(data) * share)])
        with pytest.raises(TruncatedError, match="allow-truncated"):
            open_picture(tmp_path / "cut.tif")
        picture = open_picture(tmp_path / "cut.tif", ReadOptions(allow_truncated=True))
        assert 1 <= len(picture.pages) <= pages and any("too early" in n for n in picture.pages[-1].notes)
        for number in range(len(picture.pages) - 1):
            assert np.array_equal(luma(picture, number), gray)


def test_absurd_byte_counts_do_not_hide_pixels_that_are_there(tmp_path, gray):
    tifffile.imwrite(tmp_path / "a.tif", gray, photometric="minisblack", metadata=None)
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as file:
        file.pages[0].tags[279].overwrite(2**31 - 1)
    assert np.array_equal(luma(open_picture(tmp_path / "a.tif", ReadOptions(allow_truncated=True))), gray)


def test_a_plain_pnm_cut_in_a_number_lacks_that_number(tmp_path):
    rows = [" ".join(["200"] * 10) for _ in range(4)]
    text = "P2 10 4 255\n" + "\n".join(rows)
    for missing in range(1, 8):
        (tmp_path / "cut.pgm").write_text(text[:-missing])
        part = luma(open_picture(tmp_path / "cut.pgm", ReadOptions(allow_truncated=True)))
        assert (part[:3] == 200).all() and ((part[3] == 128).all() or missing < 3)


@pytest.mark.parametrize("kind", [".webp", ".bmp", ".jp2", ".avif"])
def test_what_cannot_be_read_in_part_is_not_said_to_be(tmp_path, gray, kind):
    write(tmp_path / f"a{kind}", gray)
    data = (tmp_path / f"a{kind}").read_bytes()
    (tmp_path / "cut.dat").write_bytes(data[: len(data) // 2])
    for allow in (False, True):
        with pytest.raises(TruncatedError, match="whole copy"):
            luma(open_picture(tmp_path / "cut.dat", ReadOptions(allow_truncated=allow)))


@pytest.mark.parametrize(("kind", "bits"), CASES)
def test_corrupt_bytes_give_one_line_or_a_picture(tmp_path, gray, kind, bits):
    write(tmp_path / f"a{kind}", gray if bits == 8 else gray.astype(np.uint16) * 257)
    whole = (tmp_path / f"a{kind}").read_bytes()
    rng = np.random.default_rng(3)
    for _ in range(40):
        broken = bytearray(whole)
        for at in rng.integers(0, min(len(whole), 400) if rng.random() < 0.5 else len(whole), 4):
            broken[at] = rng.integers(0, 256)
        (tmp_path / "broken.dat").write_bytes(broken)
        try:
            picture = open_picture(tmp_path / "broken.dat", ReadOptions(max_pixels=10**7))
            for page in picture.pages:
                page.pixels.reduced(32)
        except TintypeError as error:
            one_line(error, "broken.dat")


def test_limits_are_checked_on_the_header(tmp_path):
    bomb = tmp_path / "bomb.png"
    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 30000, 30000, 8, 0, 0, 0, 0))
    bomb.write_bytes(head)
    with pytest.raises(TruncatedError):
        open_picture(bomb)
    bomb.write_bytes(head + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b""))
    with pytest.raises(PictureError):
        open_picture(bomb).pages[0].pixels.reduced(64)
    with pytest.raises(LimitError, match="max-pixels"):
        open_picture(bomb, ReadOptions(max_pixels=10**8))
    for name, data in {
        "bomb.pnm": b"P5 30000 30000 255\n",
        "bomb.bmp": b"BM"
        + struct.pack("<IHHI", 54, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, 30000, 30000, 1, 24, 0, 0, 0, 0, 0, 0),
    }.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(TruncatedError):
            luma(open_picture(tmp_path / name))
        with pytest.raises(LimitError):
            open_picture(tmp_path / name, ReadOptions(max_pixels=10**8))


def test_animations_are_refused(tmp_path, gray):
    frames = [Image.fromarray(gray), Image.fromarray(255 - gray)]
    for name in ("a.webp", "a.png", "a.avif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], duration=100)
        with pytest.raises(PictureError, match="animation"):
            open_picture(tmp_path / name)


def test_side_by_side(tmp_path, rgb, color):
    exif = exif_block(6)
    Image.fromarray(rgb).save(tmp_path / "a.png", exif=exif)
    save_side_by_side(color(open_picture(tmp_path / "a.png")), tmp_path / "b.png", overwrite=False)
    both = np.asarray(Image.open(tmp_path / "b.png"))
    upright = np.rot90(luma_of(rgb), -1)
    assert both.shape == (rgb.shape[1], 2 * rgb.shape[0], 3)
    assert np.array_equal(both[:, : rgb.shape[0]], np.dstack([upright] * 3))
    assert np.array_equal(luma_of(np.ascontiguousarray(both[:, rgb.shape[0] :])), upright)


def test_pnm_of_odd_depths_and_plain_text(tmp_path, gray, color):
    for top, kind in ((1, ".pbm"), (1, ".pgm"), (15, ".pgm"), (1023, ".pgm")):
        values = (gray.astype(int) * top // 255).astype(np.uint16)
        for plain in (True, False):
            name = tmp_path / f"a{top}{plain}{kind}"
            pbm = kind == ".pbm"
            head = b"P%d\n# a comment\n%d %d\n" % (
                (1 if pbm else 2) + (0 if plain else 3),
                gray.shape[1],
                gray.shape[0],
            )
            head += b"" if pbm else b"%d\n" % top
            if plain:
                body = b"\n".join(
                    b" ".join(b"%d" % v for v in row) for row in (1 - values.astype(int) if pbm else values)
                )
            elif pbm:
                body = np.packbits(1 - values.astype(np.uint8), axis=1).tobytes()
            else:
                body = values.astype(">u2" if top > 255 else np.uint8).tobytes()
            name.write_bytes(head + body)
            picture = open_picture(name)
            full = 255 if top < 256 else 65535
            assert np.array_equal(luma(picture), np.floor(values * (full / top) + 0.5))
            save_colored(color(picture), tmp_path / f"b{top}{plain}{kind}.ppm", overwrite=False, subsampling="420")
            save_gray(
                open_picture(tmp_path / f"b{top}{plain}{kind}.ppm"), tmp_path / f"c{top}{plain}.pgm", overwrite=True
            )
            back = (tmp_path / f"c{top}{plain}.pgm").read_bytes()
            if not plain:
                assert back.endswith(body) and back[:2] == head[:2]


def test_a_folder_of_many_formats_is_known(tmp_path):
    assert {"jpeg", "png", "tiff", "webp", "avif", "heic", "bmp", "pnm", "jp2"} == set(EXTENSIONS.values())


def test_heic(tmp_path, gray, rgb, color):
    heif = pytest.importorskip("pillow_heif")
    heif.from_bytes("RGB", (rgb.shape[1], rgb.shape[0]), rgb.tobytes()).save(
        tmp_path / "a.heic", quality=-1, chroma=444, matrix_coefficients=0
    )
    picture = open_picture(tmp_path / "a.heic")
    assert np.array_equal(luma(picture), luma_of(rgb))
    save_colored(color(picture), tmp_path / "b.heic", overwrite=False, subsampling="420")
    assert np.array_equal(luma_of(np.ascontiguousarray(np.asarray(heif.open_heif(tmp_path / "b.heic")))), luma_of(rgb))
    save_gray(open_picture(tmp_path / "b.heic"), tmp_path / "c.heic", overwrite=False)
    assert np.array_equal(luma(open_picture(tmp_path / "c.heic")), luma_of(rgb))


@pytest.mark.parametrize("bits", [10, 12])
def test_deep_avif_is_sixteen_bits(tmp_path, color, bits):
    values = (np.arange(6000) * (2**bits - 1) // 5999).astype(np.uint16).reshape(60, 100)
    image = pyvips.Image.new_from_array(np.dstack([values << (16 - bits)] * 3), interpretation="rgb16")
    image.heifsave(str(tmp_path / "a.avif"), compression="av1", lossless=True, bitdepth=bits)
    picture = open_picture(tmp_path / "a.avif")
    assert picture.pages[0].bits == 16
    assert np.array_equal(luma(picture) >> (16 - bits), values) and luma(picture).max() == 65535
    with pytest.raises(SaveError, match="16 bits"):
        save_colored(color(picture), tmp_path / "b.avif", overwrite=False, subsampling="420")
    save_colored(color(picture), tmp_path / "b.png", overwrite=False, subsampling="420")
    assert np.array_equal(luma_of(read_back(tmp_path / "b.png")), luma(picture))


def test_alpha_in_bmp(tmp_path, rgb, color):
    array = np.dstack([rgb, 255 - rgb[..., 0]])
    Image.fromarray(array).save(tmp_path / "a.png")
    save_colored(color(open_picture(tmp_path / "a.png")), tmp_path / "b.bmp", overwrite=False, subsampling="420")
    result = np.asarray(Image.open(tmp_path / "b.bmp"))
    assert np.array_equal(result[..., 3], array[..., 3])
    assert np.array_equal(luma_of(np.ascontiguousarray(result[..., :3])), luma_of(rgb))


def test_between_jpeg_and_the_others(tmp_path, gray, gray16, color):
    block = exif_block(8)
    Image.fromarray(gray).save(
        tmp_path / "a.jpg", quality=92, exif=b"Exif\0\0" + block, dpi=(300, 300), icc_profile=SRGB
    )
    picture = open_picture(tmp_path / "a.jpg")
    decoded = luma(picture)
    for kind in (".png", ".tif", ".webp", ".jp2"):
        save_colored(color(picture), tmp_path / f"b{kind}", overwrite=False, subsampling="420")
        assert np.array_equal(luma_of(read_back(tmp_path / f"b{kind}")), decoded)
        made = open_picture(tmp_path / f"b{kind}").pages[0].metadata
        assert made.orientation == 8 and made.icc == SRGB and b"An artist" in made.exif
    save_colored(color(open_picture(tmp_path / "b.png")), tmp_path / "c.jpg", overwrite=False, subsampling="444")
    back = open_picture(tmp_path / "c.jpg")
    assert back.pages[0].metadata.exif == block and np.abs(luma(back).astype(int) - decoded).mean() < 1.5
    write(tmp_path / "deep.png", gray16)
    write(tmp_path / "veil.png", np.dstack([gray, gray]))
    for name in ("deep.png", "veil.png"):
        with pytest.raises(SaveError, match="JPEG can't hold"):
            save_colored(color(open_picture(tmp_path / name)), tmp_path / "d.jpg", overwrite=False, subsampling="420")
        with pytest.raises(SaveError, match="JPEG can't hold"):
            save_gray(open_picture(tmp_path / name), tmp_path / "d.jpg", overwrite=False)


def test_coloured_twice_is_taken_off_twice(tmp_path, gray, color):
    Image.fromarray(gray > 100).save(tmp_path / "a.png")
    save_colored(color(open_picture(tmp_path / "a.png")), tmp_path / "b.png", overwrite=False, subsampling="420")
    save_colored(color(open_picture(tmp_path / "b.png")), tmp_path / "c.png", overwrite=False, subsampling="420")
    save_gray(open_picture(tmp_path / "c.png"), tmp_path / "d.png", overwrite=False)
    back = open_picture(tmp_path / "d.png")
    assert back.pages[0].metadata.xmp is None and dict(back.pages[0].stored)["bits"] == "1"
    assert np.array_equal(luma(back), (gray > 100) * np.uint8(255))


def test_a_missing_extra_names_its_install(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0heicmif1" + bytes(50))
    with pytest.raises(ModelError, match=r"pip install 'tintype\[heif\]'"):
        open_picture(tmp_path / "a.heic")


def test_broken_exif_is_kept_and_noted(tmp_path, gray, color):
    broken = b"MM\0*\0\0\0\x08\xff\xff" + bytes(70_000)
    Image.fromarray(gray).save(tmp_path / "a.png", exif=broken)
    picture = open_picture(tmp_path / "a.png")
    assert picture.pages[0].metadata.orientation == 1 and "EXIF" in picture.pages[0].notes[0]
    for kind in (".png", ".webp", ".jp2"):
        save_colored(color(picture), tmp_path / f"b{kind}", overwrite=False, subsampling="420")
        assert open_picture(tmp_path / f"b{kind}").pages[0].metadata.exif == broken
    for kind in (".tif", ".avif"):
        save_colored(color(picture), tmp_path / f"b{kind}", overwrite=False, subsampling="420")
        assert np.array_equal(luma_of(read_back(tmp_path / f"b{kind}")), gray)


def test_memory_stays_flat(tmp_path, gray, color):
    """Two hundred files cost no more than twenty."""
    import resource

    write(tmp_path / "a.png", np.tile(gray, (3, 3)))
    write(tmp_path / "a.tif", np.tile(gray, (3, 3)), compression="zlib")

    def peak(times):
        for _ in range(times):
            for kind in (".png", ".tif"):
                picture = open_picture(tmp_path / f"a{kind}")
                picture.pages[0].pixels.reduced(64)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    first = peak(20)
    assert peak(180) - first < 30_000
