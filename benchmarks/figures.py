"""The figures that a colorizer must show: python benchmarks/figures.py METHOD --data DATA -o FOLDER [--judge judge.ts] [--classifier classifier.ts]

METHOD is a name, an ONNX file or the folder of a run. DATA holds photos/val.parquet and photos/domains.parquet (sources known
from training; together they are "val") and photos/val-other.parquet (sources in no training file: "other"). Prints two Markdown
tables, writes them to FOLDER/figures.md, and leaves the reports of the evaluations beside it. The same command goes on where a
killed one stopped. Pictures are judged at their own size (at most 320 pixels), their luma is kept, and intervals are of 95 %
over pictures. judge.py makes both networks: judge.ts for Fréchet distances, classifier.ts (--gives classes) for what is recognized.

--source NAME takes only the pictures whose column `source` is NAME: the figures of a network that was trained without it.
"""

from __future__ import annotations

import argparse
import platform
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from robustness import DAMAGES, LARGE, SMALL, Trials, steadiness, trials

from tintype.cli.report import counted, say
from tintype.cli.run import cores_here
from tintype.errors import TintypeError, UsageError, suggestion
from tintype.evaluate.candidates import Candidate, candidate
from tintype.evaluate.judge import judge
from tintype.evaluate.measuring import Part
from tintype.evaluate.plan import GREY, Plan
from tintype.evaluate.statistics import CONFIDENCE, Interval, paired, summary
from tintype.evaluate.tables import Table
from tintype.picture.atomic import replacing

Doubles = NDArray[np.float64]

SETS = {"val": ("photos/val.parquet", "photos/domains.parquet"), "other": ("photos/val-other.parquet",)}
#: The pack whose column `domain` is asked.
DOMAINS = "domains"
#: Places of the candidates.
GREY_, MEAN, DEFAULT = range(3)
ROUNDS = 2000
#: Of fewer than two pictures.
NOWHERE = Interval(np.nan, np.nan)


@dataclass(frozen=True)
class Judged:
    """One set of pictures: its evaluation, in `folder`, and what robustness.py adds."""

    table: Table
    folder: Path
    trials: Trials


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--judge", default="", help="TorchScript file of a network for Fréchet distances")
    parser.add_argument("--classifier", default="", help="TorchScript file of a network that gives scores of classes")
    parser.add_argument("--source", default="", help="only pictures of this source")
    parser.add_argument("--subset", type=int, default=0, help="so many pictures of each set, drawn at random; 0: all")
    parser.add_argument("--jobs", type=int, default=cores_here(), help="processes side by side")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--large", nargs="+", help="pictures to be coloured at two sizes [default: DATA/historic]")
    args = parser.parse_args()
    try:
        print(report(args))
    except (TintypeError, OSError) as error:
        say(f"error: {error}")
        sys.exit(error.exit_code if isinstance(error, TintypeError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)


def report(args: argparse.Namespace) -> str:
    """Everything, measured; as Markdown. Raises TintypeError."""
    method = candidate(args.method)
    if method.kind == "folder" or min(args.subset, args.seed, args.jobs - 1) < 0:
        raise UsageError(
            "expected a method, an ONNX file or the folder of a run; --subset, --seed from 0, --jobs from 1"
        )
    candidates = (GREY, replace(method, name=f"{method.name} mean", decode="mean"), method)
    features = tuple(dict.fromkeys(name for name in (args.judge, args.classifier) if name))
    sets: dict[str, Judged] = {}
    for name, packs in SETS.items():
        data = tuple(path for pack in packs for path in _of_source(args.data / pack, args.source, args.out / "packs"))
        if data:
            plan = Plan((), data, args.subset, args.seed, features=features, distances=())
            sets[name] = _judged(plan, candidates, args.out / name, args.jobs)
    if not sets:
        every = (args.data / pack for packs in SETS.values() for pack in packs)
        known = sorted({source for pack in every for source in _column(pack, "source")})
        raise UsageError(f"--source {args.source}: no picture is from there; {suggestion(args.source, known)}")
    found = {name: dict(_figures(one, args.judge, args.classifier)) for name, one in sets.items()}
    steady = _steady(next(iter(sets.values())), args.large or [str(args.data / "historic" / "*.jpg")])
    counts = "; ".join(f"{name}: {_counts(one.table)}" for name, one in sets.items())
    only = f", of the source {args.source} alone" if args.source else ""
    text = "\n".join(
        [
            f"{args.method}, {date.today()}, {platform.system()} {platform.machine()}, {cores_here()} cores, processes: {args.jobs}, seed {args.seed}{only}.",
            f"Pictures: {counts}. In brackets 95 % intervals over pictures; – where there is no figure.\n",
            *_side_by_side(found),
            f"{steady}\n",
            *_by_domain(sets),
            *(f"\n- {reason}" for reason in _reasons(args, sets)),
        ]
    )
    with replacing(args.out / "figures.md", overwrite=True) as part:
        part.write_text(text + "\n")
    return text


def _judged(plan: Plan, candidates: Sequence[Candidate], folder: Path, jobs: int) -> Judged:
    with counted(f"pictures of {folder.name} judged", False) as step:
        table = judge(plan, candidates, folder, baseline="grey", processes=jobs, timed=False, step=step)
    there = table.results.numbers[~table.results.grey].tolist()
    with counted(f"pictures of {folder.name} tried", False) as step:
        return Judged(table, folder, trials(table.results.plan, there, folder, jobs, step))


def _figures(one: Judged, network: str, classifier: str) -> Iterator[tuple[str, str]]:
    """The rows that each set has: title, text."""
    table, results, seed = one.table, one.table.results, one.table.results.plan.seed
    every = np.ones(len(results.names), bool)
    yield "ab RMSE, mean decode, against grey", _rmse(table, MEAN, every)
    yield "PSNR, mean decode, less grey's, dB", _psnr(table, every)
    more = [summary(results.column("colourfulness_difference", k), seed) for k in range(3)]
    own = more[DEFAULT]
    yield (
        "colourfulness, default decode, less the originals'",
        f"{_number(own.mean, '+.1f')}{_within(own.interval, '+.1f')}; originals {_number(-more[GREY_].mean, '.1f')}, grey 0",
    )
    yield "ab RMSE, default decode, against grey", _rmse(table, DEFAULT, every)
    yield "Fréchet distance, default decode, against grey's", _frechet(table, network)
    yield "accuracy lost to grey that colouring recovers, default decode", _recognized(one, classifier)
    told = results.told
    yield (
        "told from originals, AUC, default decode: by all, by the palette alone",
        "; grey ".join(
            f"{_number(told[k].all.auc, '.3f')}, {_number(told[k].palette.auc, '.3f')}" for k in (DEFAULT, GREY_)
        ),
    )
    for k, decode in enumerate(("mean", "default"), 1):
        by_regions = summary(results.column("neutral_coloured", k), seed)
        yield (
            f"neutral pixels (true chroma < 3) given chroma > 12, {decode} decode",
            f"{_share(one.trials.neutral[:, [k, 0]], lambda s: s[..., 0] / s[..., 1], seed, '.1f')}; grey 0 %; "
            f"in neutral regions, mean over pictures, {_number(100 * by_regions.mean, '.1f')} %",
        )
    for k, damage in enumerate(DAMAGES, 2):
        yield (
            f"input degraded ({damage}): share of the first row's gain that is lost",
            _share(one.trials.squares[:, [0, 1, k]], _lost, seed, ".0f") + f"; {len(one.trials.squares)} pictures",
        )


def _rmse(table: Table, k: int, which: NDArray[np.bool_]) -> str:
    """The ab RMSE over all pixels of `which` pictures (N,) against grey's."""
    squares = np.stack([table.results.column("ab_rmse", c).astype(np.float64) ** 2 for c in (k, GREY_)], -1)
    there = which & np.isfinite(squares).all(1)
    pixels = table.results.pixels[there, None]
    own, grey = np.sqrt((squares[there] * pixels).sum(0) / pixels.sum()) if there.any() else (np.nan, np.nan)
    found = _share(squares[there] * pixels, lambda s: np.sqrt(s[..., 0] / s[..., 1]) - 1, _seed(table), "+.1f")
    return f"{found}; {_number(own, '.2f')}, grey {_number(grey, '.2f')}"


def _psnr(table: Table, which: NDArray[np.bool_]) -> str:
    """The mean PSNR of `which` pictures in the mean decode, less grey's."""
    own, grey = (table.results.column("psnr", k)[which] for k in (MEAN, GREY_))
    gain = paired(own, grey, _seed(table))
    return (
        f"{_number(gain.mean, '+.2f')}{_within(gain.interval, '+.2f')}; grey {_number(summary(grey, 0, 1).mean, '.2f')}"
    )


def _frechet(table: Table, network: str) -> str:
    if not network:
        return "–"
    distances = table.results.frechet[table.results.plan.features.index(network)].distances
    own, grey = distances[DEFAULT], distances[GREY_]
    return f"{_number(100 * (own / grey - 1), '+.0f')} %; {_number(own, '.1f')}, grey {_number(grey, '.1f')}"


def _recognized(one: Judged, classifier: str) -> str:
    """How many pictures the classifier calls what it calls the original. Its scores are features of the evaluation."""
    if not classifier:
        return "–"
    place = one.table.results.plan.features.index(classifier)
    parts = [Part.load(path) for path in sorted(one.folder.glob("parts/[0-9]*.npz"))]
    scores = np.concatenate([part.features[place] for part in parts if part.names])
    named = scores[np.isfinite(scores).all((1, 2))].argmax(-1)  # originals, grey, mean, default
    right = (named[:, [1 + DEFAULT, 1 + GREY_]] == named[:, :1]).astype(np.float64)
    sums = np.concatenate([right, np.ones((len(right), 1))], 1)
    found = _share(sums, lambda s: (s[..., 0] - s[..., 1]) / (s[..., 2] - s[..., 1]), _seed(one.table), ".0f")
    return f"{found}; right {100 * right[:, 0].mean():.1f} %, grey {100 * right[:, 1].mean():.1f} %"


def _lost(sums: Doubles) -> Doubles:
    """Squared errors (..., 3) of grey, on clean and on degraded input -> the share of the gain over grey that is lost (...), NaN without one."""
    clean, degraded = (1 - np.sqrt(sums[..., k] / sums[..., 0]) for k in (1, 2))
    return np.where(clean > 0, 1 - degraded / clean, np.nan)


def _steady(one: Judged, large: Sequence[str]) -> str:
    """One picture at two sizes, on pictures of no set; a row of the same table."""
    row = f"| one picture at {SMALL} and at {LARGE:,} pixels, default decode: ΔE of the coarse colours | {{}} |  |"
    try:
        apart, total = steadiness(one.table.results.plan.candidates[DEFAULT], large, _seed(one.table))
    except UsageError as error:
        return row.format(f"– ({error})")
    if not apart.size:
        return row.format(f"– (none of {total} pictures is so large)")
    found = summary(apart, _seed(one.table))
    which = f"{len(apart)} of {total} pictures of neither set, those that are so large"
    return row.format(f"{found.mean:.2f}{_within(found.interval, '.2f')}, greatest {apart.max():.2f}; grey 0; {which}")


def _by_domain(sets: Mapping[str, Judged]) -> Iterator[str]:
    """The first two rows again, of the pictures of each pack and of each domain."""
    yield "| pictures | number | ab RMSE, mean decode, against grey | PSNR, mean decode, less grey's, dB |\n|---|---|---|---|"
    for one in sets.values():
        results = one.table.results
        known = [(Path(pack).stem, domain) for pack in results.plan.data for domain in _column(Path(pack), "domain")]
        packs, domains = np.array([known[number] for number in results.numbers]).T
        groups = {f"all of {pack}": packs == pack for pack in dict.fromkeys(packs)}
        asked = np.char.startswith(packs, DOMAINS)
        groups |= {domain: asked & (domains == domain) for domain in np.unique(domains[asked])}
        for name, which in groups.items():
            yield f"| {name} | {which.sum()} | {_rmse(one.table, MEAN, which)} | {_psnr(one.table, which)} |"


def _reasons(args: argparse.Namespace, sets: Mapping[str, Judged]) -> Iterator[str]:
    """Why figures may be missing, or mean less."""
    if not args.judge:
        yield "No Fréchet distance without --judge."
    if not args.classifier:
        yield "No share of the accuracy without --classifier."
    yield from (f"{name} holds no picture of the source." for name in SETS if name not in sets)
    if args.judge:
        yield "Fréchet distances hang on the number of pictures: they compare only with those of as many."


def _counts(table: Table) -> str:
    results = table.results
    left = f", {results.grey.sum()} of them grey and left out where colour is measured" if results.grey.any() else ""
    failed = f", {len(results.failures)} failures" if results.failures else ""
    return f"{len(results.names):,} of {', '.join(Path(pack).name for pack in results.plan.data)}{left}{failed}"


def _side_by_side(found: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """The rows of all sets as a table."""
    yield f"| figure | {' | '.join(SETS)} |"
    yield "|---" * (1 + len(SETS)) + "|"
    for row in next(iter(found.values())):
        yield f"| {row} | {' | '.join(found[name][row] if name in found else '–' for name in SETS)} |"


def _share(sums: Doubles, figure: Callable[[Doubles], Doubles], seed: int, form: str) -> str:
    """A figure of sums over pictures (N, K) in percent, and its bootstrap interval: whole pictures are drawn, the sums taken anew."""
    with np.errstate(all="ignore"):
        value = 100 * float(figure(sums.sum(0))) if len(sums) else np.nan
        if not np.isfinite(value):
            return "–"
        draws = np.random.default_rng(seed).multinomial(len(sums), np.full(len(sums), 1 / len(sums)), ROUNDS)
        low, high = np.nanpercentile(100 * figure(draws @ sums), [50 - CONFIDENCE / 2, 50 + CONFIDENCE / 2])
    return f"{value:{form}} %" + _within(Interval(float(low), float(high)) if len(sums) > 1 else NOWHERE, form)


def _number(value: float, form: str) -> str:
    return "–" if np.isnan(value) else f"{value:{form}}"


def _within(interval: Interval, form: str) -> str:
    """Behind a figure; nothing where there are too few pictures for an interval."""
    return f" [{interval.low:{form}}, {interval.high:{form}}]" if np.isfinite(interval.low) else ""


def _seed(table: Table) -> int:
    return table.results.plan.seed


def _column(pack: Path, name: str) -> list[str]:
    """A column of a pack. Raises UsageError where it can't be had."""
    try:
        return [str(value) for value in pq.read_table(pack, columns=[name])[name].to_pylist()]
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"{pack}: its column {name!r} can't be read: {' '.join(str(error).split())}") from None


def _of_source(pack: Path, source: str, folder: Path) -> tuple[str, ...]:
    """The pack itself; or, of a `source`, one of its pictures alone, written to `folder`. Empty where there are none."""
    if not source:
        return (str(pack),)
    if source not in _column(pack, "source"):
        return ()
    own = folder / f"{pack.stem}-{re.sub(r'[^-.a-zA-Z0-9]+', '-', source)}.parquet"
    if not own.exists():  # an evaluation goes on only with the file that it began with
        rows = pq.read_table(pack)
        with replacing(own, overwrite=True) as part:
            pq.write_table(rows.filter(pc.equal(rows["source"], source)), part)
    return (str(own),)


if __name__ == "__main__":
    main()
