"""How good the colours are: python benchmarks/colour.py PACK.parquet... [--method tint grey wash] [--decode mean annealed]

Every picture of the packs is made grey, coloured through the whole pipeline at its own size, and compared with itself.
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
from tintype.evaluate.metrics import Totals
from tintype.methods.method import Options
from tintype.picture.color import luma_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packs", nargs="+", type=Path)
    parser.add_argument("--method", nargs="+", default=["tint", "wash"])
    parser.add_argument("--decode", nargs="+", default=["mean", "annealed", "mode", "sample"])
    parser.add_argument("--every", type=int, default=1, help="only each n-th picture")
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--strength", type=float, default=1.0)
    args = parser.parse_args()
    rows = []
    for method in args.method:
        decodes = args.decode if method not in ("grey", "wash") else ["mean"]
        rows += [(method, decode, Colorizer(method)) for decode in decodes]
    print(f"{date.today()}, {platform.machine()}, {', '.join(p.name for p in args.packs)}, seed 0")
    print(
        "| pictures | method | decode | ab RMSE | against grey | PSNR | against grey | colourfulness | of the originals' |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for path in args.packs:
        totals = [Totals() for _ in rows]
        grey, truth = Totals(), Totals()
        began = time.time()
        for data in pq.read_table(path, columns=["image"])["image"].to_pylist()[:: args.every]:
            original = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
            luma = luma_of(original)
            grey.add(np.repeat(luma[..., None], 3, 2), original)
            truth.add(original, original)
            for (_, decode, colorizer), total in zip(rows, totals, strict=True):
                options = Options(decode=decode, temperature=args.temperature, strength=args.strength)
                total.add(colorizer.colorize_array(luma, options=options), original)
        for name, decode, total in [
            ("grey", "", grey),
            *((n, d, t) for (n, d, _), t in zip(rows, totals, strict=True)),
        ]:
            print(
                f"| {path.name} ({total.pictures}) | {name} | {decode} | {total.ab_rmse:.2f} | {100 * (total.ab_rmse / grey.ab_rmse - 1):+.1f} % "
                f"| {total.mean_psnr:.2f} | {total.mean_psnr - grey.mean_psnr:+.2f} dB | {total.mean_colourfulness:.1f} "
                f"| {100 * total.mean_colourfulness / truth.mean_colourfulness:.0f} % |"
            )
        print(f"<!-- {path.name}: {time.time() - began:.0f} s -->")


if __name__ == "__main__":
    main()
