"""Are the class probabilities honest, and which decode is as colourful as the originals? python benchmarks/calibration.py METHOD --data PACKS... [-o PLOT.png]

METHOD is `tint` or an ONNX file of its kind, with the outputs `mean` and `logits`. Each picture is shown to the network
once; its answers (about 2 MB a picture) lie in a temporary folder while the command runs. Nearly grey pictures are left out.

1. Honesty. A cell is a place of the network's outputs; its truth is the class whose centre is nearest to the picture's chroma,
   averaged over the cell in the picture as the network sees it. Expected calibration error is that of Guo, Pleiss, Sun,
   Weinberger 2017 (top class, 15 equal bins of its probability). The cumulative check looks at all classes: those that hold
   x of the probability, the likeliest first, must hold x of the truths, for every x; what is printed is the largest
   difference. The temperature is the one with the least negative log likelihood on the one half of the pictures,
   and what it is worth is measured on the other half.
2. The decode `annealed`, through the whole pipeline, at each temperature with some gains, and then with the gain that
   is found to meet the originals' mean colourfulness. "Greys coloured" are pixels whose true chroma is below 3 and that got more than 12.
3. Strength: how straight the line is from no colour to the colour as predicted.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from robustness import COLOURED, NEUTRAL

from tintype.cli.report import counted, say
from tintype.cli.run import cores_here
from tintype.colorizer import Colorizer
from tintype.errors import TintypeError, UsageError
from tintype.evaluate.honesty import BINS, Cells, Honesty, fitted, halves, honesty, nearest, true_chroma
from tintype.evaluate.metrics import MEASURES, Measure, Stream, View, nearly_grey
from tintype.evaluate.pictures import count, drawn, sample_of, stream
from tintype.guidance.hints import Hints
from tintype.methods import build
from tintype.methods.method import Options
from tintype.methods.neural import Neural
from tintype.picture.atomic import replacing
from tintype.picture.color import luma_of

Float = NDArray[np.float32]

#: Cells that are drawn of each picture, at most: neighbours know little that is new.
CELLS = 256
#: Mean colourfulness counts as met when it is nearer than this.
MET = 0.5
#: How often a gain that is to meet it is corrected, at most.
ROUNDS = 4
STRENGTHS = tuple(k / 4 for k in range(9))


def _at_the_edge(result: View, original: View) -> float:
    """Share of pixels with a channel that can't go further although luma could: their colour was held back by the gamut, or just fits."""
    free = (original.luma > 0) & (original.luma < 255)
    return float((((result.rgb == 0) | (result.rgb == 255)).any(-1) & free).mean())


def _greys(result: View, original: View) -> float:
    """Share of pixels that are neutral in the original."""
    return float((original.chroma < NEUTRAL).mean())


def _greys_coloured(result: View, original: View) -> float:
    """Share of pixels that are neutral in the original and got colour."""
    return float(((original.chroma < NEUTRAL) & (result.chroma > COLOURED)).mean())


OWN = (
    Measure("edge", "at the gamut's edge", "share", "lower", "pixels with a channel at its end", _at_the_edge),
    Measure("greys", "greys", "share", "original", "neutral pixels", _greys),
    Measure("greys_coloured", "greys coloured", "share", "lower", "neutral pixels that got colour", _greys_coloured),
)
FIGURES = {name: MEASURES[name] for name in ("ab_rmse", "colourfulness", "colourfulness_difference")}
FIGURES |= {measure.name: measure for measure in OWN}


class Once:
    """The network as a method that is asked about one picture once; its answer is kept in the file `path`, and only the decode runs again."""

    def __init__(self, network: Neural, path: Path) -> None:
        self.name, self.sha256, self.rules = network.name, network.sha256, network.rules
        self._network, self._path = network, path
        self.seen, self.answer = (0, 0), dict[str, Float]()

    def chroma(self, luma: Float, hints: Hints, options: Options) -> Float:
        """See Method."""
        if not self.answer:
            if not self._path.exists():
                np.savez(self._path, **self._network.answer(luma))
            with np.load(self._path) as stored:
                self.answer = dict(stored)
        self.seen = (luma.shape[0], luma.shape[1])
        return self._network.decoded(self.answer, luma, options)


def some_cells(
    network: Neural, once: Once, rgb: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[Float, NDArray[np.int64]]:
    """Logits (n, K) and true classes (n,) of a picture's cells, drawn at random."""
    logits = once.answer["logits"].reshape(-1, len(network.centres))
    chosen = rng.permutation(len(logits))[:CELLS]
    chroma = true_chroma(rgb, once.seen, network.stride).reshape(-1, 2)[chosen]
    return logits[chosen], nearest(chroma, network.centres)


def tell_honesty(cells: Cells, seed: int, plot: Path | None) -> None:
    """The first table; and the plot, of the half that the temperature was not fitted on."""
    first, second = halves(cells, seed)
    print(f"\n{len(cells.truth):,} cells, {cells.logits.shape[1]} classes")
    print(
        "| cells | temperature | NLL, nats | top class right | its probability | ECE | cumulative check |\n|---|---|---|---|---|---|---|"
    )
    shown = []
    for name, half, other in (("second half", second, first), ("first half", first, second)):
        for text, temperature in (("as they are", 1.0), ("fitted on the other half", fitted(other))):
            found = honesty(half, temperature, seed)
            shown.append(found)
            print(
                f"| {name}, {text} | {temperature:.3f} | {found.nll:.3f} | {100 * found.right:.1f} % "
                f"| {100 * found.told:.1f} % | {100 * found.ece:.2f} % | {100 * found.cumulative:.2f} % |"
            )
    if plot:
        figure = drawn_honesty(shown[:2])
        with replacing(plot, overwrite=True) as part:
            figure.savefig(part, dpi=120)


def drawn_honesty(shown: Sequence[Honesty]) -> Figure:
    """Reliability of the top class, how often each probability occurs, and the cumulative check."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    reliable, often, cumulative = figure.subplots(1, 3)
    for found, colour in zip(shown, ("#d55e00", "#0072b2"), strict=True):
        there = found.bins[:, 0] > 0
        told, was = found.bins[there, 1:].T
        label = f"temperature {found.temperature:.2f}"
        reliable.plot(told, was, "o-", color=colour, label=f"{label}: ECE {100 * found.ece:.1f} %")
        often.step(
            np.arange(BINS + 1) / BINS, [*found.bins[:, 0], found.bins[-1, 0]], where="post", color=colour, label=label
        )
        part = np.linspace(0, 1, 101)
        held = np.searchsorted(found.ranks, part, side="right") / len(found.ranks)
        cumulative.plot(part, held, color=colour, label=f"{label}: at most {100 * found.cumulative:.1f} % off")
    for axes, x, y in (
        (reliable, "probability of the top class", "share of cells where it is right"),
        (often, "probability of the top class", "share of the cells"),
        (cumulative, "probability held by the likeliest classes", "share of truths among them"),
    ):
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.set_xlim(0, 1)
        axes.grid(alpha=0.25)
        axes.legend(fontsize="small", frameon=False)
        if axes is not often:
            axes.plot([0, 1], [0, 1], color="#808080", linewidth=0.8, linestyle="--")
            axes.set_ylim(0, 1)
    return figure


@dataclass(frozen=True, order=True)
class Setting:
    """Of the decode and what follows it."""

    temperature: float
    gain: float
    strength: float = 1.0


@dataclass
class Trial:
    """A network and the pictures that it is tried on, by their numbers in `data`. Their answers lie in `folder`."""

    network: Neural
    data: Sequence[str]
    short: int
    folder: Path
    numbers: list[int]
    grey: Stream = field(default_factory=lambda: Stream(FIGURES))
    found: dict[Setting, Stream] = field(default_factory=dict)

    def counted(self, what: str) -> Iterator[tuple[int, View | str]]:
        """Number and picture, or why there is none; `what` is done to them, and told as they go."""
        with counted(f"pictures {what}", quiet=False) as step:
            for done, picture in enumerate(stream(self.data, set(self.numbers)), 1):
                sample = sample_of(picture, self.short)
                yield picture.number, sample if isinstance(sample, str) else View(sample.rgb)
                step(done, len(self.numbers))

    def once(self, number: int) -> Once:
        """The network's answer to a picture."""
        return Once(self.network, self.folder / f"{number}.npz")

    def ask(self, seed: int) -> tuple[Cells, list[str], int]:
        """Show all pictures to the network; some cells of each, why some pictures can't be read, and how many are nearly grey. Both are left out from now on."""
        parts, unread = dict[int, tuple[Float, NDArray[np.int64]]](), list[str]()
        for number, original in self.counted("shown to the network"):
            if isinstance(original, str):
                unread.append(original)
            elif not nearly_grey(original):
                once, luma = self.once(number), luma_of(original.rgb)
                Colorizer(once).colorize_array(luma)
                self.grey.update(View(np.repeat(luma[..., None], 3, 2)), original)
                rng = np.random.default_rng([seed, number])
                parts[number] = some_cells(self.network, once, original.rgb, rng)
        grey = len(self.numbers) - len(unread) - len(parts)
        self.numbers = list(parts)
        if len(parts) < 2:
            raise UsageError("expected two pictures with colour or more; the halves need one each")
        logits, truth = (np.concatenate(each) for each in zip(*parts.values(), strict=True))
        whose = np.repeat(self.numbers, [len(true) for _, true in parts.values()])
        return Cells(logits, truth, whose), unread, grey

    def measure(self, settings: Sequence[Setting]) -> None:
        """All pictures with each setting that is new."""
        new = [one for one in dict.fromkeys(settings) if one not in self.found]
        streams, own = [Stream(FIGURES) for _ in new], self.network.gain
        for number, original in self.counted(f"coloured in {len(new)} ways"):
            assert not isinstance(original, str)
            colorizer, luma = Colorizer(self.once(number)), luma_of(original.rgb)
            for setting, figures in zip(new, streams, strict=True):
                self.network.gain = setting.gain  # as a file's that was exported so
                options = Options(temperature=setting.temperature, strength=setting.strength)
                figures.update(View(colorizer.colorize_array(luma, options=options)), original)
        self.network.gain = own
        self.found |= dict(zip(new, streams, strict=True))

    @property
    def wanted(self) -> float:
        """The originals' mean colourfulness."""
        return self.grey.compute()["colourfulness"] - self.grey.compute()["colourfulness_difference"]

    def off(self, setting: Setting) -> float:
        """By how much mean colourfulness is above the originals'."""
        return self.found[setting].compute()["colourfulness_difference"]

    def against_grey(self, setting: Setting) -> float:
        """ab RMSE over all pixels against grey's: -0.2 is a fifth less."""
        return self.found[setting].compute()["pooled_ab_rmse"] / self.grey.compute()["pooled_ab_rmse"] - 1

    def nearest(self, temperature: float) -> list[Setting]:
        """What was tried at a temperature, the nearest to the originals' colourfulness first."""
        tried = [one for one in self.found if (one.temperature, one.strength) == (temperature, 1)]
        return sorted(tried, key=lambda one: abs(self.off(one)))

    def meet(self, temperatures: Sequence[float]) -> None:
        """Look for the gain at each temperature that meets the originals' mean colourfulness, along the line through the two nearest."""
        for _ in range(ROUNDS):
            new = []
            for temperature in temperatures:
                one, other = self.nearest(temperature)[:2]
                rise = self.off(one) - self.off(other)
                if abs(self.off(one)) >= MET and rise:
                    gain = one.gain - self.off(one) * (one.gain - other.gain) / rise
                    new.append(Setting(temperature, round(min(max(gain, 0.0), 10.0), 2)))
            if not set(new) - set(self.found):
                return
            self.measure(new)


def tell_decode(trial: Trial, temperatures: Sequence[float], gains: Sequence[float]) -> None:
    """The second table, and which setting is best."""
    trial.measure([Setting(t, g) for t in temperatures for g in gains])
    trial.meet(temperatures)
    grey = trial.grey.compute()["pooled_ab_rmse"]
    print(f"\nThe originals' mean colourfulness is {trial.wanted:.2f}; grey's ab RMSE over all pixels {grey:.2f}.")
    print(
        "| temperature | gain | colourfulness | less the originals' | ab RMSE | against grey | greys coloured |\n|---|---|---|---|---|---|---|"
    )
    for one in sorted(trial.found):
        told = trial.found[one].compute()
        print(
            f"| {one.temperature:g} | {one.gain:g} | {told['colourfulness']:.2f} | {trial.off(one):+.2f} "
            f"| {told['pooled_ab_rmse']:.2f} | {100 * trial.against_grey(one):+.1f} % "
            f"| {100 * told['greys_coloured'] / max(told['greys'], 1e-9):.1f} % |"
        )
    met = [one for one in trial.found if abs(trial.off(one)) < MET]
    if not met:
        print(
            f"No setting comes within {MET} of the originals' mean colourfulness: none of these gains, nor a line through them, leads there."
        )
        return
    best = min(met, key=trial.against_grey)
    print(
        f"Of those within {MET} of the originals' mean colourfulness, temperature {best.temperature:g} and gain {best.gain:g} "
        f"have the lowest ab RMSE, {100 * trial.against_grey(best):+.1f} % against grey."
    )
    if len(temperatures) > 1 and best.temperature in (min(temperatures), max(temperatures)):
        print("That is the last of the temperatures that were tried: the best may lie beyond.")


def tell_strength(trial: Trial) -> None:
    """The third table."""
    own = (trial.network.temperature, trial.network.gain)
    settings = [Setting(*own, strength) for strength in STRENGTHS]
    trial.measure(settings)
    told = [trial.found[one].compute() for one in settings]
    colourful = {s: figures["colourfulness"] for s, figures in zip(STRENGTHS, told, strict=True)}
    print(f"\nStrength, at the network's own temperature {own[0]:g} and gain {own[1]:g}:")
    print("| strength | colourfulness | on the line through 0 and 1 | at the gamut's edge |\n|---|---|---|---|")
    for strength, figures in zip(STRENGTHS, told, strict=True):
        print(
            f"| {strength:g} | {figures['colourfulness']:.2f} | {strength * colourful[1]:.2f} | {100 * figures['edge']:.1f} % |"
        )
    far = max(abs(colourful[s] - s * colourful[1]) for s in STRENGTHS if s <= 1)
    share = f", {100 * far / colourful[1]:.1f} % of the value at 1" if colourful[1] else ""
    print(
        f"Over [0, 1] it is at most {far:.2f} off the line{share}. Colourfulness by its definition grows with chroma in proportion; "
        "what bends the line is the gamut, where a colour is held at the edge (last column: pixels that are there)."
    )


def network_of(method: str) -> Neural:
    """The method, if it is a network with a mean and classes. Raises UsageError for others."""
    network = build(method)
    if (
        not isinstance(network, Neural)
        or network.space != "chroma"
        or {"mean", "logits"} - set(network.answer(np.zeros((8, 8), np.float32)))
    ):
        raise UsageError(
            f"{method}: has no mean chroma and classes of chroma; expected tint, or an ONNX file of its kind"
        )
    return network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method")
    parser.add_argument("--data", nargs="+", required=True, help="original pictures in colour: packs, folders")
    parser.add_argument("-o", "--out", type=Path, help="the reliability plot")
    parser.add_argument("--subset", type=int, default=0, help="so many of the pictures, drawn by the seed; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--short", type=int, default=0, help="short side in pixels at most; 0: their own size")
    parser.add_argument("--temperatures", type=float, nargs="+", default=[0.5, 0.7, 1.0])
    parser.add_argument("--gains", type=float, nargs="+", default=[1.0, 2.0])
    args = parser.parse_args()
    if len(set(args.gains)) < 2 or min(args.gains) < 0 or min(args.temperatures) <= 0 or max(args.temperatures) > 10:
        raise UsageError("expected two gains or more, from 0 up, and temperatures above 0 and up to 10")
    if args.seed < 0:
        raise UsageError(f"--seed is {args.seed}; expected 0 or more")
    known = Figure().canvas.get_supported_filetypes()
    if args.out and args.out.suffix.removeprefix(".").lower() not in known:
        raise UsageError(f"{args.out}: is no kind of picture that can be drawn; known: {', '.join(known)}")
    network = network_of(args.method)
    total = count(args.data)
    chosen = drawn(total, args.subset, args.seed)
    with TemporaryDirectory(prefix="tintype-") as folder:
        trial = Trial(network, args.data, args.short, Path(folder), sorted(range(total) if chosen is None else chosen))
        cells, unread, grey = trial.ask(args.seed)
        print(
            f"{date.today()}, {platform.machine()}, {cores_here()} cores, seed {args.seed}: {Path(args.method).name}, {len(trial.numbers)} pictures of "
            f"{', '.join(Path(name).name for name in args.data)}; left out: {grey} nearly grey, {len(unread)} that can't be read"
        )
        if unread:
            say(f"the first that can't be read: {unread[0]}")
        tell_honesty(cells, args.seed, args.out)
        tell_decode(trial, args.temperatures, args.gains)
        tell_strength(trial)


if __name__ == "__main__":
    try:
        main()
    except TintypeError as error:
        sys.exit(f"error: {error}")
