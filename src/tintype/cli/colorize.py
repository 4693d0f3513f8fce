"""`tintype colorize`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from tintype.cli import run
from tintype.cli.inputs import COLORED_ENDING, Naming
from tintype.cli.work import Settings

Decode = Literal["annealed", "mean", "mode", "sample"]


def colorize(
    inputs: run.Inputs,
    out: run.Out = None,
    method: Annotated[str, typer.Option(help="tint, grey, wash, or the path of an ONNX file.")] = "tint",
    decode: Annotated[
        Decode | None, typer.Option(help="Which of the likely colours. [default: annealed; with --variants: sample]")
    ] = None,
    temperature: Annotated[
        float,
        typer.Option(
            min=0,
            max=10,
            help="Of annealed and sample: lower leans more to the likeliest colour, 0 is the method's own.",
        ),
    ] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Of sample: another seed, other colours.")] = 0,
    variants: Annotated[int, typer.Option(min=1, max=99, help="So many colourings: NAME-color-1, -2 ...")] = 1,
    strength: Annotated[float, typer.Option(min=0, max=2, help="0 is grey, 1 as predicted, 2 twice as strong.")] = 1.0,
    no_refine: Annotated[
        bool, typer.Option("--no-refine", help="Don't fit the colour to the picture's edges.")
    ] = False,
    chroma: Annotated[Literal["420", "444"], typer.Option(help="How finely a JPEG keeps the colour.")] = "420",
    side_by_side: Annotated[
        bool, typer.Option("--side-by-side", help="Write grey and colour in one picture instead: NAME-side.EXT.")
    ] = False,
    overwrite: run.Overwrite = False,
    jobs: run.Jobs = 0,
    threads: run.Threads = 0,
    device: Annotated[str, typer.Option(envvar="TINTYPE_DEVICE", help="auto, cpu or cuda.")] = "auto",
    max_pixels: run.MaxPixels = 10**9,
    allow_truncated: run.AllowTruncated = False,
    ignore_profile: run.IgnoreProfile = False,
    format: run.Format = "",
    as_json: run.Json = False,
    quiet: run.Quiet = False,
    verbose: run.Verbose = False,
) -> None:
    """Add colour. Without -o the result is NAME-color.EXT beside each input.

    The grey picture stays as it is, to the last bit; size, depth, metadata and profile too.
    """
    if variants > 1 and decode not in (None, "sample"):
        raise typer.BadParameter("several variants are drawn: --variants goes with --decode sample")
    settings = Settings(
        method=method,
        device=device,
        options={
            "decode": decode or ("sample" if variants > 1 else "annealed"),
            "temperature": temperature,
            "seed": seed,
            "strength": strength,
            "refine": not no_refine,
        },
        reading={"max_pixels": max_pixels, "allow_truncated": allow_truncated, "ignore_profile": ignore_profile},
        chroma=chroma,
        side_by_side=side_by_side,
        overwrite=overwrite,
        format=format,
    )
    suffix, sibling = ("side", "color") if side_by_side else ("color", "side")
    naming = Naming(suffix, variants, tuple(COLORED_ENDING.items()), (sibling,))
    code = run.execute(
        inputs, out, naming, settings, jobs=jobs, threads=threads, as_json=as_json, quiet=quiet, verbose=verbose
    )
    raise typer.Exit(code)
