"""The tables of docs/results.md: python benchmarks/results.py SET --data FOLDER --runs FOLDER -o FOLDER [--judge judge.ts]

Judges the embedded network, grey, a constant tint, colour transfer and all systems that reproductions.py has trained, on the pictures of SET;
writes a report to the folder and prints its first table. A killed one goes on with the same command.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
from datetime import date
from pathlib import Path

import yaml

from tintype.evaluate.candidates import candidate
from tintype.evaluate.headline import markdown
from tintype.evaluate.judge import judge
from tintype.evaluate.plan import Plan

#: Of each set of pictures: what they are, which group of reproductions.yaml is judged on them, what colour transfer refers to.
SETS = {
    "val": ("photos/val.parquet", "photographs", "photos/train-00000.parquet"),
    "val-other": ("photos/val-other.parquet", "photographs", "photos/train-00000.parquet"),
    "cifar": ("cifar10/test.parquet", "cifar", "cifar10/train.parquet"),
}
#: Of our own, beside the trained systems.
OURS = ("tint mean=tint@mean", "tint=tint", "constant tint=wash")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", choices=SETS)
    parser.add_argument("--data", type=Path, required=True, help="folder that the packs lie in")
    parser.add_argument("--runs", type=Path, required=True, help="as --runs of reproductions.py")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--judge", help="TorchScript file of another network for Fréchet distances: see judge.py")
    parser.add_argument("--subset", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    pictures, group, reference = SETS[args.set]
    methods = [*OURS, f"Welsh transfer=welsh:{args.data / reference}", *trained(group, args.runs / group)]
    features = ("features", *([args.judge] if args.judge else []))
    plan = Plan((), (str(args.data / pictures),), args.subset, features=features, distances=("features",))
    table = judge(
        plan,
        [candidate(method) for method in methods],
        args.out / args.set,
        baseline="grey",
        processes=args.jobs,
        title=f"Colorizers on {args.set}",
        step=lambda done, total: print(f"{done} of {total}", file=sys.stderr, flush=True),
    )
    print(
        f"{date.today()}, {platform.machine()}, {len(table.results.names)} pictures of {pictures}, seed {plan.seed}\n"
    )
    print(markdown(table))


def trained(group: str, folder: Path) -> list[str]:
    """The runs of a group of reproductions.yaml that are there, as methods under their names in its tables."""
    runs = yaml.safe_load((Path(__file__).parent / "reproductions.yaml").read_text())[group]["runs"]
    found = {name: folder / re.sub(r"\W+", "-", name).strip("-").lower() for name in runs}
    return [f"{name}={run}" for name, run in found.items() if (run / "checkpoints" / "best.ckpt").exists()]


if __name__ == "__main__":
    main()
