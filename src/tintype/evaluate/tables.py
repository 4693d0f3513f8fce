"""Results as tables: every measure of every candidate with its interval, and what sets it apart from a baseline. As CSV and JSON, too."""

from __future__ import annotations

import csv
import json
import math
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from tintype.evaluate.results import Results
from tintype.evaluate.speed import Speed
from tintype.evaluate.statistics import Difference, Summary, holm, paired, summary
from tintype.picture.atomic import replacing

#: Differences with a smaller p (after Holm) are called significant.
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Cell:
    """One measure of one candidate; `difference` to the baseline is None for the baseline itself, its p adjusted after Holm over the candidates."""

    measure: str
    candidate: str
    summary: Summary
    difference: Difference | None

    @property
    def significant(self) -> bool:
        """Whether it differs from the baseline by more than chance."""
        return self.difference is not None and self.difference.p < SIGNIFICANT


@dataclass(frozen=True)
class Table:
    """All that a report tells in numbers. `cells[measure][k]` is of candidate k."""

    results: Results
    baseline: int
    cells: dict[str, list[Cell]]
    speeds: tuple[Speed, ...]
    about: dict[str, str]

    def rmse_against_grey(self, candidate: int) -> float:
        """The candidate's ab RMSE over all pixels against the grey picture's: -0.2 is a fifth less, and better."""
        return self.results.pooled(candidate) / self.results.pooled(self.grey) - 1

    @property
    def grey(self) -> int:
        """Which candidate is the grey picture."""
        return next(k for k, one in enumerate(self.results.plan.candidates) if one.what == "grey")


def tabled(results: Results, baseline: int, speeds: tuple[Speed, ...]) -> Table:
    """Intervals and differences for all measures, by the plan's seed."""
    cells = {name: _cells(results, name, baseline) for name in results.measures}
    return Table(results, baseline, cells, speeds, _about(results))


def _cells(results: Results, measure: str, baseline: int) -> list[Cell]:
    names, seed = results.plan.names, results.plan.seed
    columns = [results.column(measure, k) for k in range(len(names))]
    differences = [
        None if k == baseline else paired(column, columns[baseline], seed) for k, column in enumerate(columns)
    ]
    adjusted = iter(holm([d.p for d in differences if d is not None]))
    fair = [d and Difference(d.mean, d.interval, next(adjusted), d.count) for d in differences]
    return [
        Cell(measure, name, summary(column, seed), difference)
        for name, column, difference in zip(names, columns, fair, strict=True)
    ]


def _about(results: Results) -> dict[str, str]:
    """What the numbers were made of, by, and when."""
    plan = results.plan
    return {
        "pictures": f"{len(results.names):,}" + (f", {plan.subset:,} drawn at random" if plan.subset else ""),
        "data": ", ".join(plan.data),
        "size": f"short side at most {plan.short} pixels" if plan.short else "their own",
        "seed": str(plan.seed),
        "tintype": version("tintype"),
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "date": str(date.today()),
    }


def write(table: Table, folder: Path) -> None:
    """summary.csv, pictures.csv and results.json."""
    with replacing(folder / "summary.csv", overwrite=True) as part, part.open("w", newline="") as file:
        writer = csv.writer(file)
        rows = [_flat(cell) for cells in table.cells.values() for cell in cells]
        writer.writerow(rows[0])
        empty = dict.fromkeys(rows[0], "")
        writer.writerows(map(_written, (empty | row).values()) for row in (*rows, *_wholes(table)))
    with (
        replacing(folder / "pictures.csv", overwrite=True) as part,
        part.open("w", newline="", errors="backslashreplace") as file,  # names may hold any bytes
    ):
        writer = csv.writer(file)
        writer.writerow(["picture", "method", *table.results.measures])
        writer.writerows(_pictures(table.results))
    with replacing(folder / "results.json", overwrite=True) as part:
        part.write_text(json.dumps(as_object(table), indent=1))


def _flat(cell: Cell) -> dict[str, Any]:
    whole, difference = cell.summary, cell.difference
    row: dict[str, Any] = {"measure": cell.measure, "method": cell.candidate, "count": whole.count}
    row |= {
        "mean": whole.mean,
        "median": whole.median,
        "mean_low": whole.interval.low,
        "mean_high": whole.interval.high,
    }
    empty = dict.fromkeys(("difference", "difference_low", "difference_high", "p"), "")
    if difference is None:
        return row | empty
    low, high = difference.interval.low, difference.interval.high
    return row | dict(zip(empty, (difference.mean, low, high, difference.p), strict=True))


def _wholes(table: Table) -> Iterator[dict[str, Any]]:
    """What is of all pictures together, as rows like the others: only Turing tests have an interval."""
    for k, method in enumerate(table.results.plan.names):
        one = _candidate(table, k)
        values = {name: one[name] for name in ("ab_rmse_all_pixels", "ab_rmse_against_grey")}
        values |= {f"frechet {title}": distance for title, distance in one["frechet"].items()}
        for name, value in values.items():
            yield {"measure": name, "method": method, "mean": value}
        for kind, told in one["turing"].items():
            interval = {"mean_low": told["low"], "mean_high": told["high"]}
            yield {
                "measure": f"turing {kind}",
                "method": method,
                "count": told["count"],
                "mean": told["auc"],
                **interval,
            }


def _written(value: Any) -> Any:
    """What is not a number is an empty field."""
    return "" if isinstance(value, float) and math.isnan(value) else value


def _pictures(results: Results) -> Iterator[list[str]]:
    for i, picture in enumerate(results.names):
        for k, candidate in enumerate(results.plan.names):
            yield [picture, candidate, *(f"{v:.6g}" if np.isfinite(v) else "" for v in results.values[i, k])]


def as_object(table: Table) -> dict[str, Any]:
    """Everything but the pictures' own numbers; what is not a number is null."""
    results = table.results
    found = {
        "about": table.about,
        "plan": asdict(results.plan),
        "baseline": results.plan.names[table.baseline],
        "candidates": [_candidate(table, k) for k in range(len(results.plan.names))],
        "measures": {
            name: {
                "title": m.title,
                "unit": m.unit,
                "better": m.better,
                "about": m.about,
                "candidates": [_flat(cell) for cell in table.cells[name]],
            }
            for name, m in results.measures.items()
        },
        "missing": results.missing | {f.title: f.missing for f in results.frechet if f.missing},
        "grey_originals": [name for name, grey in zip(results.names, results.grey, strict=True) if grey],
        "failures": results.failures,
    }
    cleaned: dict[str, Any] = _without_nan(found)
    return cleaned


def _candidate(table: Table, k: int) -> dict[str, Any]:
    results = table.results
    return {
        "name": results.plan.names[k],
        "ab_rmse_all_pixels": results.pooled(k),
        "ab_rmse_against_grey": table.rmse_against_grey(k),
        "frechet": {f.title: f.distances[k] for f in results.frechet if not f.missing},
        "turing": asdict(results.told[k]),
        "speed": asdict(table.speeds[k]) if table.speeds else None,
    }


def _without_nan(value: Any) -> Any:
    """JSON knows no NaN."""
    if isinstance(value, dict):
        return {k: _without_nan(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
