"""THE MAIN JOB of this package: methods and pictures in, a folder with a report out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tintype.errors import UsageError, suggestion
from tintype.evaluate import engine, tables
from tintype.evaluate.candidates import Candidate, colour_of, exported, named_apart
from tintype.evaluate.grids import grids
from tintype.evaluate.page import page
from tintype.evaluate.plan import Plan, with_grey
from tintype.evaluate.results import check_networks, gathered
from tintype.evaluate.speed import speeds
from tintype.evaluate.tables import Table
from tintype.picture.atomic import replacing


def judge(
    plan: Plan,
    candidates: Sequence[Candidate],
    out: Path,
    *,
    baseline: str = "",
    processes: int = 1,
    timed: bool = True,
    title: str = "Colorizers compared",
    step: engine.Step = lambda done, total: None,
) -> Table:
    """Evaluate `candidates` as `plan` says, whose own are ignored; write report.html and tables to `out`.

    `baseline`: a method's name, by default the first's. Grey is always among them. The same call goes on where a killed one
    stopped. Raises UsageError where the request makes no sense or `out` holds another evaluation, ModelError where weights
    are missing, TintypeError where more than 1 % of the pictures fail.
    """
    found = with_grey(tuple(candidates))
    named_apart(found)
    against = _baseline(baseline or candidates[0].name, [one.name for one in found])
    whole = any(one.kind == "folder" for one in found)
    if whole and plan.short:
        raise UsageError("results made elsewhere are judged at their own size: leave --short out")
    check_networks(plan)
    plan = replace(plan, candidates=tuple(exported(one, out / "networks") for one in found))
    colours = [colour_of(one, plan.seed, None) for one in plan.candidates]
    with engine.opened(plan, out):
        parts = engine.measure(plan, out, processes, step)
        results = gathered(plan, parts, out)
        times = speeds(plan, results) if timed else ()
        table = tables.tabled(results, against, times)
        tables.write(table, out)
        with replacing(out / "report.html", overwrite=True) as part:
            part.write_text(page(table, grids(results, colours), title), "utf-8", "backslashreplace")
    return table


def _baseline(name: str, names: Sequence[str]) -> int:
    """Which candidate the others are held against. Raises UsageError where there is none of that name."""
    if name not in names:
        raise UsageError(f"--baseline {name}: is none of the methods; {suggestion(name, names)}")
    return names.index(name)
