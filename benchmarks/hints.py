"""What hints are worth to a network: python benchmarks/hints.py NETWORK.onnx --data PACK... [--subset N]

Pictures are made grey and coloured by the mean decode, while the network is told the true colours of so many points: squares of one to nine of the
pixels that it sees, at places drawn at random, as in its training. One row for each number of points, over the same
pictures; none are what it makes of a picture by itself. In brackets 95 % bootstrap intervals over pictures.
"""

from __future__ import annotations

import argparse
import platform
import sys
from datetime import date

import numpy as np
import torch
from numpy.typing import NDArray

from tintype.cli.report import counted, say
from tintype.cli.run import cores_here
from tintype.colorizer import Colorizer
from tintype.errors import TintypeError, UsageError
from tintype.evaluate.metrics import View, psnr
from tintype.evaluate.pictures import count, drawn, sample_of, stream
from tintype.evaluate.statistics import summary
from tintype.guidance.hints import Hints
from tintype.methods import build
from tintype.methods.method import Options
from tintype.methods.neural import Neural
from tintype.picture.color import luma_of, split
from tintype.picture.reduce import average
from tintype.train.hinting import revealed

Float = NDArray[np.float32]

POINTS = (0, 1, 2, 5, 10, 20, 50, 100)


class Told:
    """A network as a method that is told so many `points` of the `truth`, chroma (H, W, 2) in [-0.5, 0.5], at places drawn by the `seed`."""

    def __init__(self, network: Neural) -> None:
        self.name, self.sha256, self.rules = network.name, network.sha256, network.rules
        self._network = network
        self.points, self.seed = 0, [0]
        self.truth = np.zeros((1, 1, 2), np.float32)

    def chroma(self, luma: Float, hints: Hints, options: Options) -> Float:
        """See Method."""
        seen = np.stack([average(self.truth[..., k], (luma.shape[0], luma.shape[1])) for k in (0, 1)])
        told = revealed(torch.from_numpy(seen), self.points, np.random.default_rng(self.seed)).numpy()
        return self._network.decoded(self._network.answer(luma, told), luma, options)


def measured(network: Told, data: list[str], subset: int, seed: int) -> NDArray[np.float64]:
    """PSNR in dB of each picture that can be read (N, len(POINTS))."""
    total = count(data)
    numbers = drawn(total, subset, seed) or range(total)
    found = []
    with counted("pictures", quiet=False) as step:
        for done, picture in enumerate(stream(data, numbers), 1):
            sample = sample_of(picture, 0)
            if isinstance(sample, str):
                say(f"left out: {sample}")
                continue
            original = View(sample.rgb)
            network.truth, network.seed = split(sample.rgb.astype(np.float32) / 255)[1], [seed, picture.number]
            found.append([of_points(network, points, original) for points in POINTS])
            step(done, len(numbers))
    if not found:
        raise UsageError(f"{', '.join(data)}: no picture there can be decoded")
    return np.array(found)


def of_points(network: Told, points: int, original: View) -> float:
    """PSNR in dB, over RGB, where so many points are told."""
    network.points = points
    colored = Colorizer(network).colorize_array(luma_of(original.rgb), options=Options(decode="mean"))
    return psnr(View(colored), original)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network")
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--subset", type=int, default=0, help="so many pictures, drawn at random; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    network = build(args.network)
    if not isinstance(network, Neural):
        raise UsageError(f"{args.network}: is no network")
    found = measured(Told(network), args.data, args.subset, args.seed)
    print(
        f"{date.today()}, {platform.machine()}, {cores_here()} cores, {len(found)} pictures, seed {args.seed}: {args.network}\n"
    )
    print("| points | PSNR, dB | more than without hints, dB |\n|---|---|---|")
    for k, points in enumerate(POINTS):
        own, gain = summary(found[:, k], args.seed), summary(found[:, k] - found[:, 0], args.seed)
        print(f"| {points} | {own.mean:.2f} | {gain.mean:+.2f} [{gain.interval.low:+.2f}, {gain.interval.high:+.2f}] |")


if __name__ == "__main__":
    try:
        main()
    except TintypeError as error:
        say(f"error: {error}")
        sys.exit(error.exit_code)
