"""One change at a time: python benchmarks/experiments.py --data PLACE... --test PACK... --runs FOLDER [--teacher FILE] [--tutor FILE] [--only NAME...] [--also LABEL=WHAT...]

Trains base.yaml of the folder --configs, and every other file there whose base it is, unless that was done before: by `tintype train`, on the places --data (packs, or
folders of pictures or packs); what was interrupted goes on. Then evaluates the mean decode of all of them on each of --test, and prints a table: each against grey,
and what the change was worth against `base`, with 95 % bootstrap intervals over pictures (one run each: what another seed
would have given is not in them). --also adds other candidates, as `tintype evaluate` knows them, such as a run on other pictures.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from tintype.errors import TintypeError, UsageError, suggestion
from tintype.evaluate.candidates import Candidate, candidate
from tintype.evaluate.judge import judge
from tintype.evaluate.plan import Plan
from tintype.evaluate.results import Results
from tintype.evaluate.statistics import CONFIDENCE
from tintype.train.recipe import Config, build_net

CONFIGS = Path(__file__).parent.parent / "configs" / "tint"
BASE = "base"
ROUNDS = 2000

Doubles = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", required=True, help="what to train on, as tintype train takes it")
    parser.add_argument("--test", nargs="+", required=True, help="what to evaluate on, as tintype evaluate takes it")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--configs", type=Path, default=CONFIGS)
    parser.add_argument("--teacher", type=Path, help="as that of tintype train")
    parser.add_argument("--tutor", type=Path, help="as that of tintype train")
    parser.add_argument("--only", nargs="+", default=[], help="names of configs; base is always among them")
    parser.add_argument("--also", nargs="+", default=[])
    parser.add_argument("--subset", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    names = chosen(args.configs, args.only)
    for name in names:
        train(args.configs / f"{name}.yaml", args)
    candidates = [candidate(f"{name}={args.runs / name}@mean") for name in names]
    candidates += [candidate(text) for text in args.also]
    found = {Path(pack).stem: evaluated(candidates, pack, args) for pack in args.test}
    print(f"{date.today()}, {platform.machine()}, cores: {args.jobs}, pictures of {', '.join(found)}, seed 0\n")
    print(table(candidates, names, found, args.configs, args.runs))


def chosen(configs: Path, only: Sequence[str]) -> list[str]:
    """The names of the base and its experiments, or of those `only`. Raises UsageError for one that isn't there."""
    base = f"{BASE}.yaml"
    known = [BASE, *(path.stem for path in sorted(configs.glob("*.yaml")) if changes(path).get("base") == base)]
    for name in only:
        if name not in known:
            raise UsageError(f"there is no experiment {name}; {suggestion(name, known)}")
    return [name for name in known if not only or name in (BASE, *only)]


def changes(path: Path) -> dict[str, object]:
    """The keys of a config file itself, without its base's."""
    found: dict[str, object] = yaml.safe_load(path.read_text())
    return found


def train(path: Path, args: argparse.Namespace) -> None:
    """One run by the config in `path`, to its end."""
    run, config = args.runs / path.stem, Config.read(path)
    if (run / "config.yaml").exists() and Config.read(run / "config.yaml") != config:
        raise UsageError(f"{run}: was trained by another {path.name}; choose another --runs, or delete it")
    command = [sys.executable, "-m", "tintype", "train", str(path), "-o", str(run)]
    command += ["--cache", str(args.runs / "pictures"), *(word for place in args.data for word in ("--data", place))]
    if args.teacher and config.teacher_weight:
        command += ["--teacher", str(args.teacher)]
    if args.tutor and config.tutor_weight:
        command += ["--tutor", str(args.tutor)]
    print(f"{path.stem}:", file=sys.stderr, flush=True)
    if subprocess.run(command).returncode:
        raise TintypeError(f"{run}: the training failed")


def evaluated(candidates: Sequence[Candidate], pack: str, args: argparse.Namespace) -> Results:
    """All candidates on the pictures of a pack."""
    plan = Plan((), (pack,), args.subset, features=(), distances=())
    name, which = Path(pack).stem, hashlib.sha256(repr((candidates, pack, args.subset)).encode()).hexdigest()[:12]
    out = args.runs / "evaluation" / f"{name}-{which}"
    return judge(
        plan,
        candidates,
        out,
        processes=args.jobs,
        timed=False,
        step=lambda done, total: print(f"{name}: {done} of {total}", end="\r", file=sys.stderr, flush=True),
    ).results


def table(
    candidates: Sequence[Candidate], trained: Sequence[str], found: dict[str, Results], configs: Path, runs: Path
) -> str:
    """A row for each candidate; of those that were trained here more is known."""
    titles = [f"{name}, against {what}" for name in found for what in ("grey", BASE)]
    lines = [f"| run | change | parameters | minutes | {' | '.join(titles)} |", "|---" * (4 + len(titles)) + "|"]
    for one in candidates:
        cells = [_cell(results, one.name, against) for results in found.values() for against in ("grey", BASE)]
        about = _about(configs, runs / one.name) if one.name in trained else ["", "", ""]
        lines.append(f"| {one.name} | {' | '.join([*about, *cells])} |")
    return "\n".join(lines)


def _about(configs: Path, run: Path) -> list[str]:
    """What a run changed, its network's parameters, and how long it took."""
    changed = {key: value for key, value in changes(configs / f"{run.name}.yaml").items() if key != "base"}
    config = Config.read(run / "config.yaml")
    with torch.device("meta"):
        net = build_net(config, torch.zeros(config.classes, 2), 0)
    rows = [line.split(",") for line in (run / "log.csv").read_text().splitlines()[1:]]
    seconds = float(rows[-1][1]) if rows else 0.0
    text = "" if run.name == BASE else "; ".join(f"`{key}: {value}`" for key, value in changed.items())
    return [text, f"{sum(p.numel() for p in net.parameters()):,}", f"{seconds / 60:.0f}"]


def _cell(results: Results, name: str, against: str) -> str:
    """How much the ab RMSE over all pixels differs from grey's, in percent of it; or that against another candidate's, in points."""
    if name == against:
        return ""
    names = results.plan.names
    squares = {n: results.column("ab_rmse", names.index(n)).astype(np.float64) ** 2 for n in {name, against, "grey"}}
    sums = np.stack([squares[n] * results.pixels for n in (name, against, "grey")], -1)
    sums = sums[np.isfinite(sums).all(1)]
    draws = np.random.default_rng(0).multinomial(len(sums), np.full(len(sums), 1 / len(sums)), ROUNDS)
    low, high = np.percentile(_points(draws @ sums), [50 - CONFIDENCE / 2, 50 + CONFIDENCE / 2])
    unit = " %" if against == "grey" else ""
    return f"{_points(sums.sum(0)):+.1f}{unit} [{low:+.1f}, {high:+.1f}]"


def _points(sums: Doubles) -> Doubles:
    """Squared errors (..., 3) of a candidate, what it is held against, and grey -> the difference of the first two's roots in percent of grey's."""
    own, other, grey = (np.sqrt(sums[..., k]) for k in range(3))
    points: Doubles = 100 * (own - other) / grey
    return points


if __name__ == "__main__":
    try:
        main()
    except TintypeError as error:
        sys.exit(f"error: {error}")
