"""One change at a time: python benchmarks/experiments.py --data FOLDER --runs FOLDER [--teacher FILE] [--only NAME...] [--also LABEL=WHAT...]

Trains every configs/tint/NAME.yaml whose base is base.yaml and that is not trained yet, by `tintype train` on FOLDER/photos/train-*.parquet; one that was
interrupted goes on. Then evaluates the mean decode of all of them on val and val-other, and prints a table: each against grey,
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
SETS = ("val", "val-other")
ROUNDS = 2000

Doubles = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that photos/ lies in")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, help="as that of tintype train")
    parser.add_argument("--only", nargs="+", default=[], help="names of configs; base is always among them")
    parser.add_argument("--also", nargs="+", default=[])
    parser.add_argument("--subset", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    known = [
        BASE,
        *(path.stem for path in sorted(CONFIGS.glob("*.yaml")) if changes(path).get("base") == f"{BASE}.yaml"),
    ]
    for name in args.only:
        if name not in known:
            raise UsageError(f"there is no experiment {name}; {suggestion(name, known)}")
    names = [name for name in known if not args.only or name in (BASE, *args.only)]
    packs = sorted(map(str, (args.data / "photos").glob("train-*.parquet")))
    for name in names:
        train(name, packs, args.runs, args.teacher)
    candidates = [candidate(f"{name}={args.runs / name}@mean") for name in names]
    candidates += [candidate(text) for text in args.also]
    found = {name: evaluated(candidates, args.data / f"photos/{name}.parquet", args, name) for name in SETS}
    print(f"{date.today()}, {platform.machine()}, cores: {args.jobs}, pictures of {', '.join(SETS)}, seed 0\n")
    print(table(candidates, names, found, args.runs))


def changes(path: Path) -> dict[str, object]:
    """The keys of a config file itself, without its base's."""
    found: dict[str, object] = yaml.safe_load(path.read_text())
    return found


def train(name: str, packs: Sequence[str], runs: Path, teacher: Path | None) -> None:
    """One run, to its end."""
    run = runs / name
    if (run / "config.yaml").exists() and Config.read(run / "config.yaml") != Config.read(CONFIGS / f"{name}.yaml"):
        raise UsageError(f"{run}: was trained by another {name}.yaml; choose another --runs, or delete it")
    command = [sys.executable, "-m", "tintype", "train", str(CONFIGS / f"{name}.yaml"), "-o", str(run)]
    command += ["--cache", str(runs / "pictures"), *(word for pack in packs for word in ("--data", pack))]
    if teacher and Config.read(CONFIGS / f"{name}.yaml").teacher_weight:
        command += ["--teacher", str(teacher)]
    print(f"{name}:", file=sys.stderr, flush=True)
    if subprocess.run(command).returncode:
        raise TintypeError(f"{run}: the training failed")


def evaluated(candidates: Sequence[Candidate], pack: Path, args: argparse.Namespace, name: str) -> Results:
    """All candidates on the pictures of a pack."""
    plan = Plan((), (str(pack),), args.subset, features=(), distances=())
    which = hashlib.sha256(repr((candidates, args.subset)).encode()).hexdigest()[:12]
    out = args.runs / "evaluation" / f"{name}-{which}"
    return judge(
        plan,
        candidates,
        out,
        processes=args.jobs,
        timed=False,
        step=lambda done, total: print(f"{name}: {done} of {total}", end="\r", file=sys.stderr, flush=True),
    ).results


def table(candidates: Sequence[Candidate], trained: Sequence[str], found: dict[str, Results], runs: Path) -> str:
    """A row for each candidate; of those that were trained here more is known."""
    titles = [f"{name}, against {what}" for name in SETS for what in ("grey", BASE)]
    lines = [f"| run | change | parameters | minutes | {' | '.join(titles)} |", "|---" * (4 + len(titles)) + "|"]
    for one in candidates:
        cells = [_cell(results, one.name, against) for results in found.values() for against in ("grey", BASE)]
        about = _about(runs / one.name) if one.name in trained else ["", "", ""]
        lines.append(f"| {one.name} | {' | '.join([*about, *cells])} |")
    return "\n".join(lines)


def _about(run: Path) -> list[str]:
    """What a run changed, its network's parameters, and how long it took."""
    changed = {key: value for key, value in changes(CONFIGS / f"{run.name}.yaml").items() if key != "base"}
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
