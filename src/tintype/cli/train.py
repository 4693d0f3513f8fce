"""`tintype train` and `tintype export`: from pictures to a network in a file. Both need the extra `train`."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from tintype.errors import ModelError, UsageError

Run = Annotated[Path, typer.Option("-o", "--run", help="Folder of the run: config, log, checkpoint.")]


def train(
    what: Annotated[
        str, typer.Argument(metavar="SYSTEM", help="A system's name, or a YAML file as those in configs/.")
    ],
    run: Run,
    data: Annotated[
        list[str],
        typer.Option(
            help="Parquet packs, tar shards, folders of those or of pictures, URLs; may be given several times."
        ),
    ],
    validation: Annotated[
        list[str] | None, typer.Option(help="The same, to validate on. [default: a part of --data]")
    ] = None,
    cache: Annotated[Path | None, typer.Option(help="Where decoded pictures go. [default: in RUN]")] = None,
    teacher: Annotated[
        Path | None, typer.Option(help="TorchScript file with the features to match, for configs that ask for one.")
    ] = None,
    device: Annotated[str, typer.Option(envvar="TINTYPE_DEVICE", help="cpu or cuda.")] = "cpu",
    devices: Annotated[int, typer.Option(help="How many of them on each machine.")] = 1,
    nodes: Annotated[int, typer.Option(help="How many machines, under torchrun or SLURM.")] = 1,
    workers: Annotated[int, typer.Option(help="Processes that cut crops.")] = 1,
) -> None:
    """Train a system. The same command again goes on where the run stopped."""
    _need("train")
    from tintype.train import config, fit
    from tintype.train import run as running

    path = _config(what)
    running.with_allocator([sys.executable, "-m", "tintype", *sys.argv[1:]])
    if config.system_of(path) == "tint":
        packs = [
            p
            for entry in map(Path, data)
            for p in (sorted(entry.glob("train-*.parquet")) if entry.is_dir() else [entry])
        ]
        fit.fit(fit.Config.read(path), packs, run, cache or run / "cache", device, workers, teacher)
        return
    running.run(
        config.read(path),
        data,
        run,
        validation=validation or (),
        cache=cache,
        device=device,
        devices=devices,
        nodes=nodes,
        workers=workers,
    )


def _config(what: str) -> Path:
    """The file of that name, or the recipe that comes with the package for the system of that name."""
    if what.endswith((".yaml", ".yml")):
        return Path(what)
    package = Path(__file__).parent.parent
    for folder in (package / "configs", package.parent.parent / "configs"):  # installed; in the source tree
        if (folder / f"{what}.yaml").is_file():
            return folder / f"{what}.yaml"
    from tintype.train.systems import SYSTEMS, system

    system(what)  # which says what there is
    raise UsageError(f"the recipe of {what} is missing; known: {', '.join(SYSTEMS)}")


def export(
    run: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder of a run.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The ONNX file.")],
    longest: Annotated[
        int, typer.Option(help="Longest side of what the network sees, in pixels. [default: the run's]")
    ] = 0,
    temperature: Annotated[float, typer.Option(help="Of the annealed decode. [default: the system's]")] = 0.0,
    gain: Annotated[float, typer.Option(help="Of the annealed decode: multiplies its chroma.")] = 1.0,
    half: Annotated[bool, typer.Option(help="Store large weights as float16.")] = True,
) -> None:
    """Write a run's averaged weights as one self-contained ONNX file."""
    _need("export")
    from tintype.train import config
    from tintype.train import export as exporting

    if config.system_of(run / "config.yaml") == "tint":
        tint = exporting.load(run)
        exporting.export(
            tint, out, ["mean", "logits"], exporting.about_tint(tint, longest or 256, temperature or 0.5, gain), half
        )
        return
    net, about = exporting.of_run(run)
    chosen = {"longest": longest, "temperature": temperature, "gain": gain}
    about |= {k: str(v) for k, v in chosen.items() if v}
    exporting.export_colors(net, out, about, half)


def _need(verb: str) -> None:
    """One line that says how to get torch, where it is not there."""
    missing = [m for m in ("torch", "lightning", "yaml", "onnx", "pyarrow", "matplotlib") if find_spec(m) is None]
    if missing:
        raise ModelError(f"{verb} needs {', '.join(missing)}; pip install 'tintype[train]'")
