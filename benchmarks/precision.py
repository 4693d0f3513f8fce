"""What half and 8-bit files of a network cost in colour: python benchmarks/precision.py PACK.parquet... --float F.onnx --other H.onnx I.onnx

Every n-th picture of the packs is made grey and coloured with each file; a file's colours are compared with those of the
float file and with the picture's own. The files come from `tintype export`, with --no-half, without, and with --int8.
"""

from __future__ import annotations

import argparse
import io
import platform
import time
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from tintype.colorizer import Colorizer
from tintype.evaluate.metrics import MEASURES, Stream, View
from tintype.methods.method import Options
from tintype.picture.color import luma_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packs", nargs="+", type=Path)
    parser.add_argument("--float", required=True, type=Path, dest="exact")
    parser.add_argument("--other", nargs="+", type=Path, default=[])
    parser.add_argument("--decode", default="annealed")
    parser.add_argument("--every", type=int, default=10, help="only each n-th picture")
    args = parser.parse_args()
    files = [args.exact, *args.other]
    colorizers = [Colorizer(str(path)) for path in files]
    only = {"ab_rmse": MEASURES["ab_rmse"]}
    added, error, seconds = [Stream(only) for _ in files], [Stream(only) for _ in files], np.zeros(len(files))
    for path in args.packs:
        for data in pq.read_table(path, columns=["image"])["image"].to_pylist()[:: args.every]:
            original = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
            luma = luma_of(original)
            exact = None
            for k, colorizer in enumerate(colorizers):
                began = time.perf_counter()
                colored = colorizer.colorize_array(luma, options=Options(decode=args.decode))
                seconds[k] += time.perf_counter() - began
                exact = colored if exact is None else exact
                added[k].update(View(colored), View(exact))
                error[k].update(View(colored), View(original))
    pictures = error[0].pictures
    print(
        f"{date.today()}, {platform.machine()}, {pictures} pictures of {', '.join(p.name for p in args.packs)}, {args.decode}"
    )
    print("| file | MB | against the float file, ab RMSE | against the truth, ab RMSE | a picture, whole pipeline |")
    print("|---|---|---|---|---|")
    for k, path in enumerate(files):
        print(
            f"| {path.name} | {path.stat().st_size / 1e6:.1f} | {added[k].compute()['pooled_ab_rmse']:.2f} "
            f"| {error[k].compute()['pooled_ab_rmse']:.2f} | {1000 * seconds[k] / pictures:.0f} ms |"
        )


if __name__ == "__main__":
    main()
