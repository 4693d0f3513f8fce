"""`tintype evaluate` and `tintype compare`: colorizers judged on the same pictures. Both need the extra `train`."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tintype.cli.report import counted, say, table
from tintype.cli.run import cores_here
from tintype.cli.train import need
from tintype.errors import UsageError

if TYPE_CHECKING:
    from tintype.evaluate.candidates import Candidate
    from tintype.evaluate.plan import Plan
    from tintype.evaluate.tables import Table

Out = Annotated[Path, typer.Option("-o", "--out", help="Folder of the report; a killed evaluation goes on in it.")]
Baseline = Annotated[str, typer.Option(help="Method that the others are held against. [default: the first]")]
Subset = Annotated[int, typer.Option(min=0, help="So many of the pictures, drawn at random; 0: all.")]
Seed = Annotated[int, typer.Option(min=0, help="Of all that is drawn.")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=0, help="Processes side by side; 0: one for each core.")]
Features = Annotated[
    list[str] | None,
    typer.Option(
        help="Networks for Fréchet distances: features, fid-inception, or a TorchScript FILE.ts. [default: the first two]"
    ),
]
Distance = Annotated[
    list[str] | None,
    typer.Option(help="Perceptual distances: features, lpips-alex, lpips-vgg. [default: the first two]"),
]
Timed = Annotated[bool, typer.Option("--speed/--no-speed", help="Measure speed and memory in the end, too.")]
Title = Annotated[str, typer.Option(help="Of the report.")]
Json = Annotated[bool, typer.Option("--json", help="The results as one JSON object on stdout instead of a table.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]


def evaluate(
    methods: Annotated[
        list[str],
        typer.Argument(
            metavar="METHOD...",
            help="tint, grey, wash, FILE.onnx, the folder of a run or of results, welsh:PICTURES; LABEL=METHOD names one, METHOD@DECODE chooses its decode.",
        ),
    ],
    data: Annotated[
        list[str],
        typer.Option(
            help="Original pictures in colour: packs, shards, folders, URLs, as of train; may be given several times."
        ),
    ],
    out: Out,
    baseline: Baseline = "",
    subset: Subset = 0,
    seed: Seed = 0,
    short: Annotated[
        int, typer.Option(min=0, help="Reduce pictures to this short side in pixels first; 0: their own size.")
    ] = 0,
    features: Features = None,
    distance: Distance = None,
    jobs: Jobs = 0,
    timed: Timed = True,
    title: Title = "Colorizers compared",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Judge colorizers on the same pictures: OUT/report.html, tables as CSV and JSON beside it.

    The pictures are made grey, coloured by each method and held against themselves. The same command goes on where a
    killed one stopped.
    """
    need("evaluate")
    from tintype.evaluate.candidates import candidate

    plan = _plan(data, subset, seed, short, features, distance)
    found = [candidate(method) for method in methods]
    _tell(_judged(plan, found, out, baseline, jobs, timed, title, quiet), out, as_json, quiet)


def compare(
    originals: Annotated[
        str, typer.Argument(metavar="ORIGINALS", help="Original pictures in colour, as --data of evaluate.")
    ],
    results: Annotated[
        list[str],
        typer.Argument(
            metavar="RESULTS...", help="Folders of their coloured versions, called as they are; LABEL=FOLDER names one."
        ),
    ],
    out: Out,
    baseline: Baseline = "",
    subset: Subset = 0,
    seed: Seed = 0,
    features: Features = None,
    distance: Distance = None,
    jobs: Jobs = 0,
    title: Title = "Colorizers compared",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Judge results that are there already, by whatever program: evaluate, without colouring anything."""
    need("compare")
    from tintype.evaluate.candidates import results_in

    plan = _plan([originals], subset, seed, 0, features, distance)
    found = [results_in(result) for result in results]
    _tell(_judged(plan, found, out, baseline, jobs, False, title, quiet), out, as_json, quiet)


def _plan(
    data: list[str], subset: int, seed: int, short: int, features: list[str] | None, distance: list[str] | None
) -> Plan:
    """What is asked for, candidates still left out."""
    from tintype.evaluate.plan import Plan

    plan = Plan((), tuple(data), subset, seed, short)
    if features is not None:
        plan = replace(plan, features=tuple(dict.fromkeys(features)))
    return plan if distance is None else replace(plan, distances=tuple(dict.fromkeys(distance)))


def _judged(
    plan: Plan, found: list[Candidate], out: Path, baseline: str, jobs: int, timed: bool, title: str, quiet: bool
) -> Table:
    """The evaluation, its progress told."""
    from tintype.evaluate.judge import judge

    _check(out)
    with counted("pictures", quiet) as step:
        return judge(
            plan, found, out, baseline=baseline, processes=jobs or cores_here(), timed=timed, title=title, step=step
        )


def _check(out: Path) -> None:
    """Raises UsageError where the folder can't be one."""
    file = next((part for part in (out, *out.parents) if part.is_file()), None)
    if file:
        raise UsageError(f"{out}: can't be a folder, since {file} is a file")


def _tell(judged: Table, out: Path, as_json: bool, quiet: bool) -> None:
    """The table or the object on stdout, where the report is on stderr."""
    from tintype.evaluate.headline import headline
    from tintype.evaluate.tables import as_object

    if as_json:
        sys.stdout.write(json.dumps(as_object(judged)) + "\n")
    elif not quiet:
        columns = headline(judged)
        names = judged.results.plan.names
        # A terminal is narrow and knows no line breaks in a head: methods become columns.
        table([("", *names), *((column.title, *column.texts) for column in columns)])
    if quiet:
        return
    found = judged.results
    if grey := int(found.grey.sum()):
        say(f"originals that are grey or nearly so: {grey} of {len(found.names)}; measures of colour leave them out")
    if found.failures:
        say(f"not read, or not coloured: {len(found.failures)}; the report names them")
    say(f"report: {out / 'report.html'}")
