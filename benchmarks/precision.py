"""What half and 8-bit files of a network cost in colour: python benchmarks/precision.py PACKS... --float F.onnx --other H.onnx I.onnx

Every n-th picture of the packs is made grey and coloured with each file; a file's colours are compared with those of the
float file and with the picture's own. The files come from `tintype export`, with --no-half, without, and with --int8;
`tintype export FILE.onnx` makes them of a file that is there already. ΔE is CIE 1976, the distance in CIELAB, over all
pixels of all pictures (luma is the same everywhere, so it is colour's alone; CIEDE2000 would mostly be smaller). The network alone
is timed within the pipeline, after it was shown one picture more; its times are medians over pictures.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tintype.cli.report import counted, say
from tintype.cli.run import cores_here
from tintype.colorizer import Colorizer
from tintype.errors import TintypeError, UsageError
from tintype.evaluate.metrics import MEASURES, Stream, View
from tintype.evaluate.pictures import count, sample_of, stream
from tintype.guidance.hints import Hints
from tintype.methods import build
from tintype.methods.method import Options
from tintype.methods.neural import Neural
from tintype.picture.color import luma_of

Float = NDArray[np.float32]

#: ΔE is counted in bins of this width, up to FARTHEST, beyond which nothing in sRGB lies.
STEP, FARTHEST = 0.01, 400
ONLY = {"ab_rmse": MEASURES["ab_rmse"]}


@dataclass
class Distances:
    """ΔE of any number of pixels, counted."""

    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(round(FARTHEST / STEP), np.int64))
    total: float = 0.0

    def update(self, one: View, other: View) -> None:
        """Count the pixels of two pictures of one size."""
        apart = np.sqrt(((one.lab - other.lab) ** 2).sum(-1)).ravel()
        self.total += float(apart.sum(dtype=np.float64))
        self.counts += np.bincount((apart / STEP).astype(np.int64), minlength=len(self.counts))

    @property
    def mean(self) -> float:
        """Over all pixels."""
        return self.total / int(self.counts.sum())

    def percentile(self, share: float) -> float:
        """What `share` percent of the pixels lie below, to 0.01 upwards."""
        sums = self.counts.cumsum()
        number = int(np.searchsorted(sums, share / 100 * sums[-1]))
        return STEP * (number + 1) if number else 0.0


class Timed:
    """A network as a method; `seconds` of each answer, without the decode."""

    def __init__(self, network: Neural) -> None:
        self.name, self.sha256, self.rules = network.name, network.sha256, network.rules
        self._network = network
        self.seconds: list[float] = []

    def chroma(self, luma: Float, hints: Hints, options: Options) -> Float:
        """See Method."""
        began = time.perf_counter()
        answer = self._network.answer(luma)
        self.seconds.append(time.perf_counter() - began)
        return self._network.decoded(answer, luma, options)


@dataclass
class Tried:
    """A file, and what its colours were."""

    path: Path
    network: Timed
    added: Stream = field(default_factory=lambda: Stream(ONLY))  #: against the float file
    error: Stream = field(default_factory=lambda: Stream(ONLY))  #: against the truth
    distances: Distances = field(default_factory=Distances)  #: to the float file
    seconds: float = 0.0  #: of the whole pipeline

    def colour(self, luma: NDArray[np.uint8], options: Options) -> View:
        """A picture as the file colours it."""
        began = time.perf_counter()
        colored = Colorizer(self.network).colorize_array(luma, options=options)
        self.seconds += time.perf_counter() - began
        return View(colored)

    def row(self, exact: Tried) -> str:
        """Of the table."""
        pictures, (own, first) = self.error.pictures, (np.median(each.network.seconds) for each in (self, exact))
        return (
            f"| {self.path.name} | {self.path.stat().st_size / 1e6:.1f} | {self.added.compute()['pooled_ab_rmse']:.2f} "
            f"| {self.error.compute()['pooled_ab_rmse']:.2f} | {1000 * self.seconds / pictures:.0f} ms "
            f"| {self.distances.mean:.2f} | {self.distances.percentile(99):.2f} | {1000 * own:.1f} ms | {own / first:.2f} |"
        )


def tried(path: Path) -> Tried:
    """A file, warmed up. Raises ModelError where it is no network."""
    if path.suffix != ".onnx":
        raise UsageError(f"{path}: expected an ONNX file")
    network = build(str(path))
    assert isinstance(network, Neural)
    return Tried(path, Timed(network))


def measured(files: list[Tried], packs: list[str], every: int, options: Options) -> None:
    """Each n-th picture through all files, the float file first; those that can't be read are named and left out."""
    numbers = range(0, count(packs), every)
    with counted("pictures", quiet=False) as step:
        for done, picture in enumerate(stream(packs, numbers), 1):
            sample = sample_of(picture, 0)
            if isinstance(sample, str):
                say(f"left out: {sample}")
                continue
            luma, original = luma_of(sample.rgb), View(sample.rgb)
            if not files[0].network.seconds:  # the first answer takes longer than any after it
                for one in files:
                    Colorizer(one.network).colorize_array(luma)
                    one.network.seconds.clear()
            views = [one.colour(luma, options) for one in files]
            for one, view in zip(files, views, strict=True):
                one.added.update(view, views[0])
                one.error.update(view, original)
                one.distances.update(view, views[0])
            step(done, len(numbers))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packs", nargs="+")
    parser.add_argument("--float", required=True, type=Path, dest="exact")
    parser.add_argument("--other", nargs="+", type=Path, default=[])
    parser.add_argument("--decode", default="annealed", choices=["annealed", "mean", "mode", "sample"])
    parser.add_argument("--every", type=int, default=10, help="only each n-th picture")
    args = parser.parse_args()
    if args.every < 1:
        raise UsageError(f"--every is {args.every}; expected 1 or more")
    files = [tried(path) for path in (args.exact, *args.other)]
    measured(files, args.packs, args.every, Options(decode=args.decode))
    if not files[0].error.pictures:
        raise UsageError(f"{', '.join(args.packs)}: no picture there can be decoded")
    names = ", ".join(Path(pack).name for pack in args.packs)
    print(
        f"{date.today()}, {platform.machine()}, {cores_here()} cores, {files[0].error.pictures} pictures of {names}, {args.decode}"
    )
    print(
        "| file | MB | against the float file, ab RMSE | against the truth, ab RMSE | a picture, whole pipeline "
        "| ΔE to the float file, mean | 99th percentile | the network alone | of the float file's |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for one in files:
        print(one.row(files[0]))


if __name__ == "__main__":
    try:
        main()
    except TintypeError as error:
        sys.exit(f"error: {error}")
