"""`tintype gray`."""

from __future__ import annotations

import typer

from tintype.cli import run
from tintype.cli.inputs import GRAY_ENDING, Naming
from tintype.cli.work import Settings


def gray(
    inputs: run.Inputs,
    out: run.Out = None,
    overwrite: run.Overwrite = False,
    jobs: run.Jobs = 0,
    max_pixels: run.MaxPixels = 10**9,
    allow_truncated: run.AllowTruncated = False,
    ignore_profile: run.IgnoreProfile = False,
    format: run.Format = "",
    as_json: run.Json = False,
    quiet: run.Quiet = False,
    verbose: run.Verbose = False,
) -> None:
    """Take the colour off again: the original's grey, bit for bit. Without -o the result is NAME-gray.EXT."""
    settings = Settings(
        verb="gray",
        reading={"max_pixels": max_pixels, "allow_truncated": allow_truncated, "ignore_profile": ignore_profile},
        overwrite=overwrite,
        format=format,
    )
    naming = Naming("gray", endings=tuple(GRAY_ENDING.items()))
    code = run.execute(
        inputs, out, naming, settings, jobs=jobs, threads=0, as_json=as_json, quiet=quiet, verbose=verbose
    )
    raise typer.Exit(code)
