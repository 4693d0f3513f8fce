"""The one table that is looked at first: the columns that together say how good a colorizer is. As the report, Markdown and the terminal show it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tintype.evaluate.tables import Table

#: Measures whose means stand there; the rest of the columns is more than a mean.
_MEANS = ("psnr", "ssim", "delta_e2000", "pa", "bleeding", "neutral_coloured")
_TOLD = "how surely a trained classifier tells results from originals by their colours; 0.5: not at all; 1: always; no verdict on fewer than 20 pictures"


@dataclass(frozen=True)
class Column:
    """A column: the `texts` of all candidates, and which of them are `best`: several where they read the same."""

    title: str
    better: str
    about: str
    texts: tuple[str, ...]
    best: frozenset[int]


def headline(table: Table) -> list[Column]:
    """The columns, in their order."""
    results = table.results
    candidates = range(len(results.plan.names))
    columns = [
        _column(
            "ab RMSE, all pixels",
            "lower",
            "root of the mean squared error of a and b over all pixels",
            [results.pooled(k) for k in candidates],
            "{:.2f}",
        ),
        _column(
            "against grey",
            "lower",
            "the same against the error of the grey picture",
            [100 * table.rmse_against_grey(k) for k in candidates],
            "{:+.1f} %",
        ),
    ]
    columns += [_mean(table, name) for name in _MEANS if name in results.measures]
    columns.append(_colourfulness(table))
    columns += [
        _column(
            f"Fréchet, {found.title}",
            "lower",
            f"distance of features to the originals', by {found.title}",
            found.distances,
            "{:#.4g}",
        )
        for found in results.frechet
        if not found.missing
    ]
    columns += [_mean(table, name) for name in results.measures if name.startswith("distance ")]
    columns += [
        _column(title, "lower", about, [verdict.auc for verdict in verdicts], "{:.3f}")
        for title, about, verdicts in (
            ("told from originals, AUC", _TOLD, [told.all for told in results.told]),
            (
                "by palette alone, AUC",
                "the same, by which colours there are alone, wherever they lie",
                [told.palette for told in results.told],
            ),
        )
    ]
    columns.append(
        _column(
            "luma exact",
            "higher",
            "share of pixels whose luma is the original's, to the bit",
            [100 * table.cells["luma_exact"][k].summary.mean for k in candidates],
            "{:.2f} %",
        )
    )
    return columns


def _mean(table: Table, name: str) -> Column:
    measure = table.results.measures[name]
    values = [cell.summary.mean for cell in table.cells[name]]
    return _column(measure.title, measure.better, measure.about, values, "{:.2f}" if name == "psnr" else "{:.3f}")


def _colourfulness(table: Table) -> Column:
    """Mean colourfulness as a share of the originals': 100 % is best."""
    shares = []
    for own, more in zip(table.cells["colourfulness"], table.cells["colourfulness_difference"], strict=True):
        original = own.summary.mean - more.summary.mean
        shares.append(100 * own.summary.mean / original if original else math.nan)
    nearest = [abs(share - 100) for share in shares]
    ranked = _column("", "lower", "", nearest, "{:.0f}")
    about = "mean colourfulness of the results (Hasler and Süsstrunk) as a share of the originals'; 100 % is best"
    texts = tuple("–" if math.isnan(share) else f"{share:.0f} %" for share in shares)
    return Column("colourfulness of the originals'", "original", about, texts, ranked.best)


def _column(title: str, better: str, about: str, values: Sequence[float], form: str) -> Column:
    texts = tuple("–" if math.isnan(v) else form.format(v) for v in values)
    there = [k for k, v in enumerate(values) if not math.isnan(v)]
    choose: Callable[..., float] = max if better == "higher" else min
    best = choose((values[k] for k in there), default=math.nan)
    leading = frozenset(k for k in there if texts[k] == form.format(best))
    return Column(title, better, about, texts, leading)


def markdown(table: Table) -> str:
    """The table for a document."""
    columns = headline(table)
    lines = ["| method | " + " | ".join(column.title for column in columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for k, name in enumerate(table.results.plan.names):
        lines.append(f"| {name} | " + " | ".join(column.texts[k] for column in columns) + " |")
    return "\n".join(lines)
