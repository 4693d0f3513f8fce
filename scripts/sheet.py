"""Contact sheets, for looking at what a network does: python scripts/sheet.py PICTURES... | --pack PACK -o SHEET.png

PICTURES are files, such as old photographs: grey above colour. The README's picture is this command on examples/.
`--pack` is a pack or folder of photographs in colour: grey, the network's colours, the original. Of its N pictures
`--count` shows those with the numbers 0, N / count, 2 N / count, ..., rounded down, whatever they look like. `--worst`
shows those where the network does the most harm instead: it colours all that have colour, and takes the highest quotient of
ab RMSE against the original over the grey picture's, the worst first. Under each is its number in the pack, and
ab RMSE / the grey picture's. Where there are more than `--each` pictures, several sheets are written: SHEET-1.png, SHEET-2.png, ...
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tintype.cli.report import counted, say
from tintype.colorizer import Colorizer
from tintype.errors import TintypeError, UsageError
from tintype.methods.method import Options
from tintype.picture.atomic import replacing
from tintype.picture.color import luma_of
from tintype.picture.files import open_picture
from tintype.picture.turn import upright

RGB = NDArray[np.uint8]

#: White around a picture, and the height of a caption with the white that sets it off from what comes below, in pixels.
GAP, CAPTION = 4, 26


@dataclass(frozen=True)
class Column:
    """Versions of one picture, RGB, to be shown one above the other; `harm`: ab RMSE over the grey picture's, NaN if it isn't known."""

    views: tuple[RGB, ...]
    caption: str = ""
    harm: float = float("nan")

    def drawn(self, side: int) -> Image.Image:
        """Each version within a square of `side` pixels, the caption below."""
        both = Image.new("RGB", (side, side * len(self.views) + (CAPTION if self.caption else 0)), "white")
        for row, view in enumerate(self.views):
            im = Image.fromarray(view)
            im.thumbnail((side - GAP, side - GAP), Image.Resampling.LANCZOS)
            both.paste(im, ((side - im.width) // 2, row * side + (side - im.height) // 2))
        if self.caption:
            middle = (side // 2, both.height - CAPTION + 7)
            ImageDraw.Draw(both).text(middle, self.caption, "black", ImageFont.load_default(12), "mm")
        return both


def of_files(paths: Sequence[Path], colorizer: Colorizer, options: Options) -> Iterator[Column]:
    """Grey and colour of any pictures."""
    for path in paths:
        picture = open_picture(path)
        rgb = colorizer.colorize(picture, options=options).array()
        orientation = picture.pages[0].metadata.orientation
        colour = upright((rgb / np.iinfo(rgb.dtype).max * 255).round().astype(np.uint8), orientation)
        yield Column((luma_of(colour), colour))


def of_pack(pack: str, many: int, colorizer: Colorizer, options: Options) -> Iterator[Column]:
    """Grey, colour and original of so many of the pack's pictures, evenly spread (0: of all); those that can't be read are named and left out."""
    from tintype.evaluate.metrics import View, ab_rmse, nearly_grey  # these need the extra `train`; files don't
    from tintype.evaluate.pictures import count, sample_of, stream

    total = count([pack])
    many = min(many or total, total)
    numbers = {k * total // many for k in range(many)}
    with counted("pictures", quiet=False) as step:
        for done, picture in enumerate(stream([pack], numbers), 1):
            sample = sample_of(picture, 0)
            if isinstance(sample, str):
                say(f"left out: {sample}")
                continue
            luma, original = luma_of(sample.rgb), View(sample.rgb)
            colour = colorizer.colorize_array(luma, options=options)
            grey = np.repeat(luma[..., None], 3, 2)
            ours, greys = (ab_rmse(View(rgb), original) for rgb in (colour, grey))
            harm = float("nan") if nearly_grey(original) else ours / greys
            yield Column((luma, colour, sample.rgb), f"{picture.number}: {ours:.1f} / {greys:.1f}", harm)
            step(done, len(numbers))


def worst(columns: Iterator[Column], many: int) -> list[Column]:
    """So many of the pictures with colour, the highest `harm` first. Of the others none is kept in memory."""
    kept: list[Column] = []
    for column in columns:
        if not np.isnan(column.harm):
            kept = sorted([*kept, column], key=lambda c: -c.harm)[:many]
    return kept


def sheet(columns: Sequence[Column], side: int, across: int) -> Image.Image:
    """Pictures side by side, `across` in a row."""
    drawn = [column.drawn(side) for column in columns]
    height, rows = drawn[0].height, -(-len(drawn) // across)
    whole = Image.new("RGB", (min(across, len(drawn)) * side, rows * height), "white")
    for i, im in enumerate(drawn):
        whole.paste(im, (i % across * side, i // across * height))
    return whole


def write(columns: Sequence[Column], out: Path, side: int, across: int, each: int) -> None:
    """One sheet, or several of up to `each` pictures."""
    parts = [columns[at : at + each] for at in range(0, len(columns), each)]
    for number, part in enumerate(parts, 1):
        path = out if len(parts) == 1 else out.with_stem(f"{out.stem}-{number}")
        with replacing(path, overwrite=True) as file:
            sheet(part, side, across).save(file)
        say(str(path))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", nargs="*", type=Path)
    parser.add_argument("--pack")
    parser.add_argument("--count", type=int, default=48)
    parser.add_argument("--worst", type=int, default=0)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--method", default="tint")
    parser.add_argument("--decode", default="annealed")
    parser.add_argument("--strength", type=float, default=1.0)
    parser.add_argument("--columns", type=int, default=0, help="pictures in a row [default: 6; of a pack 8]")
    parser.add_argument(
        "--side", type=int, default=0, help="of a picture's square, in pixels [default: 260; of a pack 200]"
    )
    parser.add_argument("--each", type=int, default=0, help="pictures on a sheet, at most [default: all; of a pack 16]")
    args = parser.parse_args()
    if bool(args.pictures) == bool(args.pack):
        raise UsageError("expected pictures, or a pack of them: one of the two")
    if args.out.suffix.lower() not in Image.registered_extensions():
        raise UsageError(f"{args.out}: is no kind of picture that can be written here; name one that ends with .png")
    if min(args.count, args.worst + 1, args.columns + 1, args.each + 1) < 1 or 0 < args.side < 40 or args.side < 0:
        raise UsageError("expected numbers of pictures from 1 up, and a side of 40 pixels or more")
    colorizer = Colorizer(args.method)
    try:
        options = Options(decode=args.decode, strength=args.strength)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if args.pack:
        found = of_pack(args.pack, 0 if args.worst else args.count, colorizer, options)
        columns = worst(found, args.worst) if args.worst else list(found)
        side, across, each = args.side or 200, args.columns or 8, args.each or 16
    else:
        columns = list(of_files(args.pictures, colorizer, options))
        side, across, each = args.side or 260, args.columns or 6, args.each or len(columns)
    if not columns:
        raise UsageError(f"{args.pack}: holds no picture that can be shown")
    write(columns, args.out, side, across, each)


if __name__ == "__main__":
    try:
        main()
    except TintypeError as error:
        sys.exit(f"error: {error}")
