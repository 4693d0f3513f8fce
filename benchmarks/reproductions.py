"""The reported systems, trained and tested: python benchmarks/reproductions.py GROUP --data FOLDER --runs FOLDER [--show FOLDER] [--only NAME...]

Trains every run of the GROUP in reproductions.yaml that is not trained yet, by `tintype train`; one that was interrupted goes on.
Then tests all of them on the group's test pictures, at the size that they were trained on, and prints a table. --show writes
GROUP-curves.png and, with --pictures, GROUP.webp: those pictures as each run colours them.
"""

from __future__ import annotations

import argparse
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
import yaml
from matplotlib.figure import Figure
from PIL import Image, ImageDraw
from torch import Tensor, nn
from torch.utils.data import DataLoader

from tintype.colorizer import Colorizer
from tintype.evaluate.metrics import colourfulness
from tintype.methods.method import Options
from tintype.nets.lab import rgb_to_lab
from tintype.picture.atomic import replacing
from tintype.picture.files import open_picture
from tintype.train import config, export, outputs
from tintype.train.cache import Pack, pack_of
from tintype.train.crops import Whole, everything
from tintype.train.journal import rows_of

HERE = Path(__file__).parent
#: Longer side of a picture in GROUP.webp.
SHOWN = 160
#: What the runs are held against: the luma by itself, and with the original's own chroma averaged over so many places each way.
LINES = {"the grey pictures": 0, "the original's one mean chroma": 1, "the original's chroma at 4 x 4 places": 4}


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


@dataclass(frozen=True)
class Run:
    """One run: its `recipe`, what it trains on, and its `folder`."""

    recipe: dict[str, Any]
    data: Path
    folder: Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    groups = yaml.safe_load((HERE / "reproductions.yaml").read_text())
    parser.add_argument("group", choices=groups)
    parser.add_argument("--data", type=Path, required=True, help="folder that the group's packs lie in")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--only", nargs="+", help="these runs of the group")
    parser.add_argument("--show", type=Path, help="folder for curves and pictures")
    parser.add_argument("--pictures", type=Path, nargs="+", default=[])
    args = parser.parse_args()
    group, home = groups[args.group], args.runs / args.group
    runs = {name: run for name, run in _runs(group, args.data, home) if name in (args.only or [name])}
    for run in runs.values():
        _train(run)
    seeds = {run.recipe.get("seed", 0) for run in runs.values()}
    print(f"{date.today()}, {platform.machine()}, {torch.get_num_threads()} threads, seed {sorted(seeds)}")
    if "columns" in group:
        _last_losses(runs, group["columns"])
    else:
        _tests(runs, [args.data / name for name in group["test"]], home / "test")
    if args.show:
        args.show.mkdir(parents=True, exist_ok=True)
        _curves(runs, group["curve"], args.show / f"{args.group}-curves.png")
        if args.pictures:
            _pictures(runs, args.pictures, args.show / f"{args.group}.webp")


def _runs(group: dict[str, Any], data: Path, home: Path) -> Iterator[tuple[str, Run]]:
    """The runs by name; of a group with sets, each on each set; of one that chooses, on the pictures that it chooses."""
    for choice, rule in (group.get("sets") or {"": group.get("choose")}).items():
        packs = data / group["train"]
        where = packs if rule is None else _chosen(packs, rule, home)
        for name, own in group["runs"].items():
            full = f"{choice}, {name}" if choice else name
            folder = home / re.sub(r"\W+", "-", full).strip("-").lower()
            yield full, Run(_recipe(group.get("shared", {}), own or {}), where, folder)


def _chosen(packs: Path, rule: dict[str, Any], folder: Path) -> Path:
    """A pack of the pictures in `packs` whose columns have the values that `rule` says, at most `most`: the first in a fixed random order. Its name is the rule's."""
    said = " ".join(f"{key} {value}" for key, value in rule.items())
    path = folder / (re.sub(r"\W+", "-", said).lower() + ".parquet")
    if not path.exists():
        table = pa.concat_tables(pq.read_table(pack) for pack in sorted(packs.glob("train*.parquet")))
        for column, value in rule.items():
            if column != "most":
                table = table.filter(pc.equal(table[column], value))
        order = np.random.default_rng(0).permutation(len(table))[: rule["most"]]
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(path, overwrite=True) as part:
            pq.write_table(table.take(pa.array(order)), part)
    return path


def _recipe(shared: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """The system's recipe in configs/ with what the group and the run change; null takes a key away."""
    system = {**shared, **own}["system"]
    merged: dict[str, Any] = yaml.safe_load((HERE.parent / "configs" / f"{system}.yaml").read_text())
    for changes in (shared, own):
        for key, value in changes.items():
            merged[key] = {**merged.get(key, {}), **value} if isinstance(value, dict) else value
    return {key: value for key, value in merged.items() if value is not None}


def _train(run: Run) -> None:
    path = run.folder.with_suffix(".yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(run.recipe))
    cache = run.folder.parent / "pictures" / (run.data.stem if run.data.is_file() else "all")
    command = [sys.executable, "-m", "tintype", "train", str(path), "--data", str(run.data), "-o", str(run.folder)]
    print(f"{run.folder.name}:", flush=True, file=sys.stderr)
    subprocess.run([*command, "--cache", str(cache)], check=True)


def _last_losses(runs: dict[str, Run], columns: dict[str, str]) -> None:
    """The table of what the runs' metrics.csv say at their ends: of each of `columns` its name there."""
    print(f"| run | epochs | minutes | {' | '.join(columns)} |")
    print("|---" * (3 + len(columns)) + "|")
    for name, run in runs.items():
        rows = rows_of(run.folder / "metrics.csv")
        values = " | ".join(f"{float(rows[-1][key]):#.4g}" for key in columns.values())
        print(f"| {name} | {len(rows)} | {_minutes(rows):.0f} | {values} |")


def _minutes(rows: list[dict[str, Any]]) -> float:
    return sum(float(r["seconds"]) for r in rows) / 60


def _tests(runs: dict[str, Run], packs: Sequence[Path], cache: Path) -> None:
    """The table of how the runs do on pictures that none has seen, beside grey."""
    print(f"{', '.join(p.name for p in packs)}")
    print(
        "| run | parameters | epochs | minutes | MSE | accuracy | ab RMSE against grey | colourfulness of the originals' |"
    )
    print("|---|---|---|---|---|---|---|---|")
    lines: dict[tuple[int, int], list[Score]] = {}
    for name, run in runs.items():
        chosen = config.read(run.folder / "config.yaml")
        size = chosen.phases[-1].size
        pack = pack_of([str(p) for p in packs], cache, chosen.short)
        original, grey, *others = lines.get((size, chosen.short)) or _lines(pack, size)
        if (size, chosen.short) not in lines:
            for line, score in zip(LINES, [grey, *others], strict=True):
                print(f"| {line}, {size} px | | | | {score.row(original, grey)} |")
        lines[size, chosen.short] = [original, grey, *others]
        net, _ = export.of_run(run.folder)
        score, rows = _judged(net, pack, size), rows_of(run.folder / "metrics.csv")
        parameters = sum(p.numel() for p in net.parameters())
        print(
            f"| {name} | {parameters:,} | {len(rows)} | {_minutes(rows):.0f} | {score.row(original, grey)} |",
            flush=True,
        )


def _lines(pack: Pack, size: int) -> list[Score]:
    """The originals against themselves, and each of LINES, the first of which is grey."""
    scores = [Score() for _ in ("original", *LINES)]
    for luma, rgb in _batches(pack, size):
        scores[0].add(rgb, rgb)
        for score, places in zip(scores[1:], LINES.values(), strict=True):
            told = (
                outputs.picture(outputs.target("chroma", rgb, (places, places)), luma)
                if places
                else luma.expand_as(rgb)
            )
            score.add(told, rgb)
    return scores


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


def _curves(runs: dict[str, Run], columns: dict[str, str], path: Path) -> None:
    """Plots, side by side, of the runs' metrics over the epochs: of each of `columns` its name in metrics.csv."""
    figure = Figure(figsize=(5 * len(columns) + 2.5, 4), layout="constrained")
    for number, (title, key) in enumerate(columns.items()):
        axes = figure.add_subplot(1, len(columns), number + 1)
        for at, (name, run) in enumerate(runs.items()):
            known = [(int(r["epoch"]) + 1, float(r[key])) for r in rows_of(run.folder / "metrics.csv") if r.get(key)]
            if known:
                style = ("-", "--", ":")[at // 10 % 3]  # colours come again after ten
                axes.plot(*zip(*known, strict=True), style, label=name, linewidth=1.2)
        low, high = axes.dataLim.intervaly
        if 0 < 4 * low < high:
            axes.set_yscale("log")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel("epoch")
        axes.set_title(title)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, fontsize="small")
    figure.savefig(path, dpi=100)


def _pictures(runs: dict[str, Run], pictures: Sequence[Path], path: Path) -> None:
    """A row for every run: `pictures` as `tintype colorize --method` makes them of its exported network."""
    opened = [open_picture(p) for p in pictures]
    sheet = Image.new("RGB", (len(pictures) * SHOWN, len(runs) * (SHOWN + 14)), "white")
    draw = ImageDraw.Draw(sheet)
    with tempfile.TemporaryDirectory() as folder:
        for row, (name, run) in enumerate(runs.items()):
            net, about = export.of_run(run.folder)
            export.export_colors(net, Path(folder) / f"{row}.onnx", about)
            colorizer = Colorizer(str(Path(folder) / f"{row}.onnx"))
            draw.text((2, row * (SHOWN + 14)), name, fill="black")
            for column, picture in enumerate(opened):
                rgb = colorizer.colorize(picture, options=Options()).array()
                small = Image.fromarray((rgb / np.iinfo(rgb.dtype).max * 255).round().astype(np.uint8))
                small.thumbnail((SHOWN - 2, SHOWN - 2), Image.Resampling.LANCZOS)
                sheet.paste(small, (column * SHOWN, row * (SHOWN + 14) + 13))
    sheet.save(path, quality=85)


if __name__ == "__main__":
    main()
