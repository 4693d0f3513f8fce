"""A contact sheet, grey above colour, of any pictures: python scripts/sheet.py PICTURES... -o SHEET.png [--method tint] [--columns 6]

For looking at what a network does. The README's picture is this command on examples/.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from tintype.colorizer import Colorizer
from tintype.methods.method import Options
from tintype.picture.files import open_picture
from tintype.picture.turn import upright


def cell(colorizer: Colorizer, path: Path, options: Options, side: int) -> Image.Image:
    """Grey above colour, each within `side` x `side`."""
    picture = open_picture(path)
    page = picture.pages[0]
    rgb = colorizer.colorize(picture, options=options).array()
    colour = upright((rgb / np.iinfo(rgb.dtype).max * 255).round().astype(np.uint8), page.metadata.orientation)
    both = Image.new("RGB", (side, 2 * side), "white")
    for row, im in enumerate((Image.fromarray(colour).convert("L"), Image.fromarray(colour))):
        im.thumbnail((side - 4, side - 4), Image.Resampling.LANCZOS)
        both.paste(im, ((side - im.width) // 2, row * side + (side - im.height) // 2))
    return both


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--method", default="tint")
    parser.add_argument("--decode", default="annealed")
    parser.add_argument("--strength", type=float, default=1.0)
    parser.add_argument("--columns", type=int, default=6)
    parser.add_argument("--side", type=int, default=260)
    args = parser.parse_args()
    colorizer = Colorizer(args.method)
    options = Options(decode=args.decode, strength=args.strength)
    cells = [cell(colorizer, path, options, args.side) for path in args.pictures]
    rows = -(-len(cells) // args.columns)
    sheet = Image.new("RGB", (min(args.columns, len(cells)) * args.side, rows * 2 * args.side), "white")
    for i, im in enumerate(cells):
        sheet.paste(im, (i % args.columns * args.side, i // args.columns * 2 * args.side))
    sheet.save(args.out)


if __name__ == "__main__":
    main()
