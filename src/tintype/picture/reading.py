"""What all readers share: limits, pixels that are decoded on demand, and the page that comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tintype.errors import LimitError, PictureError, TruncatedError, refusal
from tintype.picture import profiles
from tintype.picture.color import Bytes, luma_of
from tintype.picture.ifd import is_sound
from tintype.picture.metadata import orientation_of
from tintype.picture.picture import BAND_PIXELS, Band, Metadata, Page, Pixels, reduce_bands

#: The remedy for a file that lacks a part, where its reader can do without.
PARTLY = "--allow-truncated reads what is there"
#: And where it can't.
_WHOLE = "find a whole copy: nothing of this one can be read"
#: The note on a picture of which a part was read.
ENDS_EARLY = "the file ends too early: what is missing is grey"

#: From raw samples (n, W, C) of a file to grey (n, W, 1) or RGB (n, W, 3), same type; alpha is already taken off.
Convert = Callable[[Bytes], Bytes]


@dataclass(frozen=True)
class ReadOptions:
    """How to read a picture that is not as it should be."""

    max_pixels: int = 10**9  #: of one page; beyond it LimitError, before anything is decoded
    allow_truncated: bool = False  #: read what is there of a file that ends too early
    ignore_profile: bool = False  #: as if no ICC profile were embedded


@dataclass(frozen=True)
class Samples:
    """How a page's samples (n, W, C) are to be understood."""

    has_alpha: bool = False  #: the last channel is alpha
    convert: Convert | None = None  #: for what isn't grey or RGB that can stay as it is

    def band(self, top: int, samples: Bytes) -> Band:
        """Rows from `top`: samples (n, W, C) -> luma and alpha."""
        alpha = samples[..., -1] if self.has_alpha else None
        color = samples[..., :-1] if self.has_alpha else samples
        if self.convert is not None:
            color = self.convert(color)
        luma = luma_of(color) if color.shape[2] == 3 else color[..., 0]
        return Band(top, np.ascontiguousarray(luma), None if alpha is None else np.ascontiguousarray(alpha))


@dataclass(frozen=True)
class DecodedPixels(Pixels):
    """Pixels of a format that is decoded as a whole: `decode` gives (H, W, C), anew for each pass, so that nothing stays in memory."""

    path: Path
    size: tuple[int, int]
    samples: Samples
    decode: Callable[[], Bytes]

    def bands(self) -> Iterator[Band]:
        """All rows in order. Raises PictureError."""
        with refusing(self.path):
            whole = self.decode()
        if whole.shape[:2] != self.size:
            raise PictureError(
                self.path,
                f"is corrupt: its pixels are {whole.shape[1]} x {whole.shape[0]}, its header says {self.size[1]} x {self.size[0]}",
            )
        rows = max(1, BAND_PIXELS // self.size[1])
        for top in range(0, self.size[0], rows):
            yield self.samples.band(top, whole[top : top + rows])

    def reduced(self, longest: int) -> NDArray[np.float32]:
        """The whole, reduced."""
        return reduce_bands(self.bands(), self.size, longest)


class refusing:
    """A decoder's exceptions become PictureError of one line about `path`; ours pass."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, PictureError | LimitError) or not isinstance(error, Exception):
            return
        if isinstance(error, OSError) and error.strerror:
            cause, remedy = refusal(error)
            raise PictureError(self.path, f"can't be read: {cause}", remedy) from error
        if isinstance(error, MemoryError):
            raise PictureError(self.path, "needs more memory than there is", "try --jobs 1") from error
        text = first_line(error)
        if any(word in text.lower() for word in ("truncated", "end of file", "not enough data", "unexpected eof")):
            raise TruncatedError(self.path, f"ends too early: {text}", _WHOLE) from error
        raise PictureError(self.path, f"is corrupt: {text}", "save it anew with another program") from error


def first_line(error: BaseException) -> str:
    """A decoder's message as one short line: the last sentence says what, the ones before where in the decoder."""
    lines = [" ".join(line.split()) for line in str(error).splitlines()]
    # libvips says first where in itself it failed, and at times where in the file; Pillow repeats the path.
    telling = [k for k in lines if k and not k.startswith(("unable to ", "cannot identify")) and "bad seek" not in k]
    return telling[0][:160] if telling else "no decoder takes it"


def check_size(path: Path, size: tuple[int, int], options: ReadOptions) -> None:
    """Raises LimitError where `size` (H, W) has more pixels than allowed, PictureError where it has none."""
    height, width = size
    if height < 1 or width < 1:
        raise PictureError(path, f"is corrupt: its header says {width} x {height} pixels")
    if height * width > options.max_pixels:
        raise LimitError(
            path, f"has {width} x {height} pixels, more than {options.max_pixels:,}", "--max-pixels raises the limit"
        )


def truncated(path: Path, what: str = "the file ends too early", partly: bool = False) -> TruncatedError:
    """The error for a file that lacks its end. `partly` says whether it can be read without."""
    return TruncatedError(path, what, PARTLY if partly else _WHOLE)


def ended(band: Band, there: int) -> Band:
    """The band, rows from `there` (of the page) on grey and opaque: the file ends before them."""
    first = max(0, there - band.top)
    if first >= len(band.luma):
        return band
    most = np.iinfo(band.luma.dtype).max
    band.luma[first:] = most // 2 + 1
    if band.alpha is not None:
        band.alpha[first:] = most
    return band


def page_of(
    path: Path,
    size: tuple[int, int],
    bits: int,
    colors: int,
    has_alpha: bool,
    metadata: Metadata,
    pixels: Callable[[Samples], Pixels],
    options: ReadOptions,
    stored: dict[str, str],
    notes: tuple[str, ...] = (),
) -> Page:
    """A page of `colors` (1 grey, 3 RGB, 4 CMYK) colour channels, its profile judged and its orientation read.

    Raises LimitError for too many pixels, PictureError for a profile that can't be used.
    """
    check_size(path, size, options)
    metadata, convert, more = _with_profile(path, colors, metadata, options)
    if metadata.exif is not None and metadata.orientation == 1:
        metadata = replace(metadata, orientation=orientation_of(metadata.exif))
    if metadata.exif is not None and not is_sound(metadata.exif):
        notes = (*notes, "the EXIF data is broken and is kept as it is, where the format of the result can")
    return Page(
        size, bits, has_alpha, pixels(Samples(has_alpha, convert)), metadata, tuple(stored.items()), (*notes, *more)
    )


def _with_profile(
    path: Path, colors: int, metadata: Metadata, options: ReadOptions
) -> tuple[Metadata, Convert | None, tuple[str, ...]]:
    """Metadata without a profile that can't be kept, how to convert the samples then, and what was done."""
    icc, notes = metadata.icc, []
    if icc is not None and options.ignore_profile:
        icc = None
        notes.append("the embedded colour profile was ignored")
    try:
        verdict = profiles.judge(icc, colors)
    except ValueError as error:
        raise PictureError(
            path, f"has a broken colour profile: {error}", "--ignore-profile reads it without"
        ) from error
    if verdict == "keep":
        return replace(metadata, icc=icc), None, tuple(notes)
    if verdict == "mismatch":
        notes.append("the embedded colour profile is not for such pixels and was left out")
        icc = None
        if colors < 4:
            return replace(metadata, icc=None), None, tuple(notes)
    kind = "CMYK was" if colors == 4 else "colours were"
    how = (
        "through the embedded profile" if icc is not None else "through a common printing profile, as none is embedded"
    )
    notes.append(f"{kind} converted to sRGB {how}")
    return replace(metadata, icc=None), profiles.converter(icc, colors), tuple(notes)
