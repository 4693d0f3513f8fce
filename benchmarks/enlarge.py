"""Edge-aware enlargement against bilinear and bicubic: python benchmarks/enlarge.py [PACK.parquet]

True chroma of colour photographs is averaged over 8 x 8 pixels and enlarged again. PSNR is of Cb and Cr (peak 1), over all
pixels and over those within two pixels of a strong luma edge. Without a pack: the photographs in scikit-image.
"""

from __future__ import annotations

import argparse
import io
from datetime import date

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tintype.picture.color import split
from tintype.picture.reduce import average, reduce_luma
from tintype.refine import guided

Float = NDArray[np.float32]
FACTOR = 8


def photographs(pack: str | None) -> dict[str, NDArray[np.uint8]]:
    """Name -> RGB."""
    if pack:
        import pyarrow.parquet as pq

        rows = pq.read_table(pack, columns=["image"])["image"].to_pylist()[::10]
        return {str(i): np.asarray(Image.open(io.BytesIO(row)).convert("RGB")) for i, row in enumerate(rows)}
    from skimage import data

    return {n: getattr(data, n)() for n in ("astronaut", "chelsea", "coffee", "rocket")} | {
        "motorcycle": data.stereo_motorcycle()[0]
    }


def near_edges(luma: Float) -> NDArray[np.bool_]:
    """Pixels within two of a luma step of over 0.1 to a neighbour."""
    strong = np.zeros(luma.shape, bool)
    strong[:, 1:] |= np.abs(np.diff(luma, axis=1)) > 0.1
    strong[1:] |= np.abs(np.diff(luma, axis=0)) > 0.1
    out = strong.copy()
    for _ in range(2):
        grown = out.copy()
        grown[1:] |= out[:-1]
        grown[:-1] |= out[1:]
        grown[:, 1:] |= out[:, :-1]
        grown[:, :-1] |= out[:, 1:]
        out = grown
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pack", nargs="?")
    args = parser.parse_args()
    ways = {
        "bilinear": lambda c, y: guided.spread(c, y, y.shape).rows(y, 0),
        "bicubic": lambda c, y: guided.cubic(c, y.shape),
        "guided (ours)": lambda c, y: guided.enlarge(c, reduce_luma(y, guided.GUIDE_LONGEST), y.shape).rows(y, 0),
    }
    errors = {name: np.zeros((0, 2)) for name in ways}
    pictures = photographs(args.pack)
    for rgb in pictures.values():
        h, w = (n // FACTOR * FACTOR for n in rgb.shape[:2])
        luma, chroma = split(rgb[:h, :w].astype(np.float32) / 255)
        coarse = np.stack(
            [average(np.ascontiguousarray(chroma[..., k]), (h // FACTOR, w // FACTOR)) for k in range(2)], -1
        )
        edges = near_edges(luma)
        for name, way in ways.items():
            square = (way(coarse, luma) - chroma) ** 2
            errors[name] = np.vstack([errors[name], [square.mean(), square[edges].mean() if edges.any() else np.nan]])
    print(
        f"{date.today()}, {args.pack or 'scikit-image: ' + ', '.join(pictures)} ({len(pictures)} pictures), chroma reduced {FACTOR} x"
    )
    print("| enlargement | PSNR of chroma, dB | at edges, dB |")
    print("|---|---|---|")
    for name, error in errors.items():
        every, edge = np.nanmean(-10 * np.log10(np.maximum(error, 1e-10)), 0)
        print(f"| {name} | {every:.2f} | {edge:.2f} |")


if __name__ == "__main__":
    main()
