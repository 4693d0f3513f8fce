"""The reported systems, trained and tested: python benchmarks/reproductions.py GROUP --data FOLDER --runs FOLDER [--only NAME...]

Trains every run of the GROUP in reproductions.yaml that is not trained yet, by `tintype train`; one that was interrupted goes on.
Then tests all of them on the group's test pictures, at the size that they were trained on, and prints a table.
"""

from __future__ import annotations

import argparse
import csv
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn
from torch.utils.data import DataLoader

from tintype.evaluate.metrics import colourfulness
from tintype.nets.lab import rgb_to_lab
from tintype.train import config, export, outputs
from tintype.train.cache import Pack, pack_of
from tintype.train.crops import Whole, everything

HERE = Path(__file__).parent


@dataclass
class Score:
    """Figures over test pictures, in [0, 1]."""

    values: int = 0
    squared: float = 0.0
    ab: float = 0.0
    right: int = 0
    colour: list[float] = field(default_factory=list)

    def add(self, told: Tensor, true: Tensor) -> None:
        """Pictures (N, 3, S, S) against the true ones."""
        self.values += true.numel()
        self.squared += float((told - true).square().sum())
        self.ab += float((rgb_to_lab(told)[:, 1:] - rgb_to_lab(true)[:, 1:]).square().sum())
        self.right += int((told.argmax(1) == true.argmax(1)).sum())
        bytes_ = (told.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()
        self.colour += [colourfulness(picture) for picture in bytes_]

    def row(self, original: Score, grey: Score) -> str:
        """MSE over RGB, share of pixels whose largest channel is right, ab RMSE against grey's, colourfulness against the originals'."""
        against = 100 * (np.sqrt(self.ab / grey.ab) - 1)
        return (
            f"{self.squared / self.values:.5f} | {3 * self.right / self.values:.3f} | {against:+.1f} % "
            f"| {100 * np.mean(self.colour) / np.mean(original.colour):.0f} %"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    groups = yaml.safe_load((HERE / "reproductions.yaml").read_text())
    parser.add_argument("group", choices=groups)
    parser.add_argument("--data", type=Path, required=True, help="folder that the group's packs lie in")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--only", nargs="+", help="these runs of the group")
    args = parser.parse_args()
    group = groups[args.group]
    runs = {name: args.runs / args.group / _slug(name) for name in args.only or group["runs"]}
    for name, folder in runs.items():
        recipe = folder.with_suffix(".yaml")
        recipe.parent.mkdir(parents=True, exist_ok=True)
        recipe.write_text(yaml.safe_dump(_recipe(group.get("shared", {}), group["runs"][name] or {})))
        cache = args.runs / args.group / "pictures"
        _train(recipe, args.data / group["train"], folder, cache)
    _table(runs, args.data / group["test"], args.runs / args.group / "test")


def _recipe(shared: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """The system's recipe in configs/ with what the group and the run change."""
    system = {**shared, **own}["system"]
    merged: dict[str, Any] = yaml.safe_load((HERE.parent / "configs" / f"{system}.yaml").read_text())
    for changes in (shared, own):
        for key, value in changes.items():
            merged[key] = {**merged.get(key, {}), **value} if isinstance(value, dict) else value
    return merged


def _slug(name: str) -> str:
    return re.sub(r"\W+", "-", name).strip("-").lower()


def _train(recipe: Path, data: Path, folder: Path, cache: Path) -> None:
    command = [sys.executable, "-m", "tintype", "train", str(recipe), "--data", str(data), "-o", str(folder)]
    print(f"{recipe.stem}:", flush=True, file=sys.stderr)
    subprocess.run([*command, "--cache", str(cache)], check=True)


def _table(runs: dict[str, Path], test: Path, cache: Path) -> None:
    """Test every run, beside grey pictures and the originals."""
    seeds = {config.read(folder / "config.yaml").seed for folder in runs.values()}
    print(f"{date.today()}, {platform.machine()}, {torch.get_num_threads()} cores, {test.name}, seed {sorted(seeds)}")
    print(
        "| run | parameters | epochs | minutes | MSE | accuracy | ab RMSE against grey | colourfulness of the originals' |"
    )
    print("|---|---|---|---|---|---|---|---|")
    known: dict[tuple[int, int], tuple[Score, Score]] = {}
    for name, folder in runs.items():
        chosen = config.read(folder / "config.yaml")
        size = chosen.phases[-1].size
        pack = pack_of([str(test)], cache, chosen.short)
        if (size, chosen.short) not in known:
            original, grey = Score(), Score()
            for luma, rgb in _batches(pack, size):
                original.add(rgb, rgb)
                grey.add(luma.expand(-1, 3, -1, -1), rgb)
            known[size, chosen.short] = original, grey
            print(f"| the grey pictures, {size} px | | | | {grey.row(original, grey)} |")
        net, _ = export.of_run(folder)
        score = _judged(net, pack, size)
        rows = list(csv.DictReader((folder / "metrics.csv").open()))
        minutes = sum(float(r["seconds"]) for r in rows) / 60
        parameters = sum(p.numel() for p in net.parameters())
        print(
            f"| {name} | {parameters:,} | {len(rows)} | {minutes:.0f} | {score.row(*known[size, chosen.short])} |",
            flush=True,
        )


def _batches(pack: Pack, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    for batch in DataLoader(Whole(pack, everything(pack), size), 100):
        yield batch["luma"], batch["rgb"].float() / 255


@torch.inference_mode()
def _judged(net: nn.Module, pack: Pack, size: int) -> Score:
    score, kind = Score(), outputs.kind_of(net)
    for luma, rgb in _batches(pack, size):
        answer = net(luma)
        told = answer if kind == "rgb" else outputs.picture(outputs.chroma_of(kind, answer, luma), luma)
        score.add(told, rgb)
    return score


if __name__ == "__main__":
    main()
