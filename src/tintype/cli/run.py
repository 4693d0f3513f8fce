"""What `colorize` and `gray` share: find, plan, run, report."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from tintype.cli.inputs import Naming, find, plan
from tintype.cli.report import Report, say
from tintype.cli.work import PIPE, Settings, one_line
from tintype.errors import TintypeError, UsageError

#: Up to this many inputs are done in one process: starting others would take longer than they save.
FEW = 3

#: The exit code after Ctrl-C: 128 and the signal's number, as shells have it.
INTERRUPTED = 130

Inputs = Annotated[
    list[str], typer.Argument(metavar="IN...", help="Files, folders (with all below them), globs, or - for stdin.")
]
Out = Annotated[
    str | None,
    typer.Option("--out", "-o", metavar="OUT", help="A file, a folder (ends with / or exists), or - for stdout."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace results that exist already.")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=0, help="Processes side by side; 0: as many as make sense.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object per input on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more: sizes, times, reasons of internal errors.")]
Format = Annotated[str, typer.Option("--format", metavar="EXT", help="Format on stdout: jpg, png, tif ...")]
MaxPixels = Annotated[int, typer.Option("--max-pixels", min=1, help="Refuse pictures with more pixels than this.")]
AllowTruncated = Annotated[
    bool, typer.Option("--allow-truncated", help="Read pictures that end too early; what is missing is grey.")
]
IgnoreProfile = Annotated[bool, typer.Option("--ignore-profile", help="Take pictures as if they had no ICC profile.")]
Threads = Annotated[
    int, typer.Option("--threads", min=0, envvar="TINTYPE_THREADS", help="Threads in all; 0: one for each core.")
]


def execute(
    asked: list[str],
    out: str | None,
    naming: Naming,
    settings: Settings,
    *,
    jobs: int,
    threads: int,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Do everything and return the exit code. Nothing is done at all where the request makes no sense."""
    try:
        return _execute(
            asked, out, naming, settings, jobs, threads, Report(0, as_json=as_json, quiet=quiet, verbose=verbose)
        )
    except TintypeError as error:
        say(f"error: {one_line(error)}")
        return error.exit_code
    except KeyboardInterrupt:
        say("interrupted: what is finished is whole, the rest was not begun or is removed")
        return INTERRUPTED


def _execute(
    asked: list[str], out: str | None, naming: Naming, settings: Settings, jobs: int, threads: int, report: Report
) -> int:
    from tintype.cli import pool  # multiprocessing is slow to import
    from tintype.picture.files import EXTENSIONS

    folder = Path(out) if out and out != PIPE else None
    ours = (naming.suffix, *naming.siblings) if out is None else ()
    found, failed = find(asked, EXTENSIONS, skip=ours, out=folder)
    several = len(asked) > 1 or any(item != PIPE and not os.path.isfile(item) for item in asked)
    planned = plan(found, out, naming, EXTENSIONS, several)
    piped = any(PIPE in (job.source, *job.outputs) for job in planned)
    if any(job.outputs == (PIPE,) for job in planned) and report.as_json:
        raise UsageError("--json and the result can't both go to standard output: give -o a file")
    if settings.format and not piped:
        raise UsageError("--format is for standard output; a file's ending names its format")
    cores = threads or cores_here()
    wanted = jobs or (1 if len(planned) <= FEW else cores)
    workers = 1 if piped else max(1, min(wanted, len(planned)))
    settings = replace(settings, threads=max(1, cores // workers) if workers > 1 else threads or None)
    report.total = len(planned) + len(failed)
    with report:
        for failure in failed:
            report.add(failure)
        with closing(pool.run(planned, settings, workers)) as results:
            for result in results:
                report.add(result)
    return report.exit_code()


def cores_here() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
