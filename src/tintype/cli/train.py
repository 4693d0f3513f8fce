"""`tintype train` and `tintype export`: from pictures to a network in a file. Both need the extra `train`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tintype.errors import ModelError

Run = Annotated[Path, typer.Option("-o", "--run", help="Folder of the run: config, log, checkpoint.")]


def train(
    config: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A YAML file, as configs/tint.yaml.")],
    run: Run,
    data: Annotated[list[Path], typer.Option(help="Parquet packs, or folders of them; may be given several times.")],
    cache: Annotated[Path | None, typer.Option(help="Where decoded pictures go. [default: RUN/cache]")] = None,
    teacher: Annotated[
        Path | None, typer.Option(help="TorchScript file with the features to match, for configs that ask for one.")
    ] = None,
    device: Annotated[str, typer.Option(envvar="TINTYPE_DEVICE", help="cpu or cuda.")] = "cpu",
) -> None:
    """Train a network. The same command again goes on where the run stopped."""
    fit, _ = _parts()
    fit.with_allocator([sys.executable, "-m", "tintype", *sys.argv[1:]])
    packs = [p for entry in data for p in (sorted(entry.glob("train-*.parquet")) if entry.is_dir() else [entry])]
    if not packs:
        raise typer.BadParameter("there is no train-*.parquet in the folders of --data")
    fit.fit(fit.Config.read(config), packs, run, cache or run / "cache", device, teacher=teacher)


def export(
    run: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder of a run.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The ONNX file.")],
    longest: Annotated[int, typer.Option(help="Longest side of what the network sees, in pixels.")] = 256,
    temperature: Annotated[float, typer.Option(help="Of the annealed decode.")] = 0.5,
    gain: Annotated[float, typer.Option(help="Of the annealed decode: multiplies its chroma.")] = 1.0,
    half: Annotated[bool, typer.Option(help="Store large weights as float16.")] = True,
) -> None:
    """Write a run's averaged weights as one self-contained ONNX file."""
    _, exporting = _parts()
    net = exporting.load(run)
    exporting.export(net, out, ["mean", "logits"], exporting.about_tint(net, longest, temperature, gain), half)


def _parts() -> tuple[Any, Any]:
    """The modules that need torch, or one line that says how to get it."""
    try:
        from tintype.train import export, fit
    except ModuleNotFoundError as error:
        raise ModelError(f"training needs {error.name}; pip install 'tintype[train]'") from None
    return fit, export
