"""`tintype train` and `tintype export`: from pictures to a network in a file. Both need the extra `train`."""

from __future__ import annotations

import os
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from tintype.cli.networks import recipes
from tintype.cli.report import say
from tintype.errors import ModelError, SaveError, UsageError, suggestion

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
    tutor: Annotated[
        Path | None, typer.Option(help="TorchScript file of colorizers to learn from, for configs that ask for one.")
    ] = None,
    device: Annotated[str, typer.Option(envvar="TINTYPE_DEVICE", help="cpu, cuda or auto.")] = "cpu",
    devices: Annotated[int, typer.Option(help="How many of them on each machine; of cpu, processes.")] = 1,
    nodes: Annotated[int, typer.Option(help="How many machines, under torchrun or SLURM.")] = 1,
    workers: Annotated[int, typer.Option(help="Processes that cut crops.")] = 1,
    epochs: Annotated[int | None, typer.Option(min=1, help="Train so many instead of the recipe's.")] = None,
) -> None:
    """Train a system. The same command again goes on where the run stopped."""
    path = _config(what)
    _check(device, devices, nodes, workers, (run, cache or run))
    need("train")
    from tintype.train import allocator, config

    tint = config.system_of(path) == "tint"
    if tint and (devices * nodes > 1 or validation or epochs):
        raise UsageError(
            "tint trains on one device, for its recipe's steps, without validation: leave --devices, --nodes, --epochs and --validation out"
        )
    chosen = None if tint else config.read(path)
    if chosen and epochs:
        chosen = chosen.within(epochs)
    command = [sys.executable, "-m", "tintype", *sys.argv[1:]]
    allocator.with_allocator(command)
    from tintype.train import devices as compute
    from tintype.train import fit, launch, recipe, systems
    from tintype.train import run as running

    device = compute.resolved(device, devices)
    if chosen is None:
        fit.fit(recipe.Config.read(path), data, run, cache or run / "cache", device, workers, teacher, tutor)
    elif devices > 1 and nodes == 1 and not _RANKS & set(os.environ):
        # Whatever is wrong is said once, before there are several processes to say it.
        systems.task(chosen)
        running.prepare(chosen, data, cache or run / "pictures", validation=validation or (), device=device)
        raise typer.Exit(launch.together(command, devices, os.environ))
    else:
        launch.end_with_parent()
        hardware = running.Hardware(device, devices, nodes, workers)
        running.run(chosen, data, run, validation=validation or (), cache=cache, hardware=hardware, say=say)


#: Who starts several processes says in one of these which of them this is.
_RANKS = frozenset({"LOCAL_RANK", "SLURM_PROCID"})


def _check(device: str, devices: int, nodes: int, workers: int, folders: tuple[Path, ...]) -> None:
    """Raises UsageError for numbers and names that make no sense, before anything is loaded."""
    if device not in ("cpu", "cuda", "auto"):
        raise UsageError(f"there is no device {device!r} to train on; known: cpu, cuda, auto")
    for name, number, least in (("devices", devices, 1), ("nodes", nodes, 1), ("workers", workers, 0)):
        if number < least:
            raise UsageError(f"--{name} is {number}; expected {least} or more")
    if nodes > 1 and not _RANKS & set(os.environ):
        raise UsageError("with --nodes, start the command with torchrun or srun on every machine")
    for folder in folders:
        file = next((part for part in (folder, *folder.parents) if part.is_file()), None)
        if file:
            raise UsageError(f"{folder}: can't be a folder, since {file} is a file")


def _config(what: str) -> Path:
    """The file of that name, or the recipe that comes with the package for the system of that name. Raises UsageError where there is none."""
    if what.endswith((".yaml", ".yml")):
        return Path(what)
    known = recipes()
    if what not in known:
        raise UsageError(
            f"there is no system {what!r}; {suggestion(what, sorted(known))}, or a file that ends in .yaml"
        )
    return known[what]


def export(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            help="Folder of a run, an ONNX file that this command wrote, or a released colorizer: eccv16, siggraph17.",
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The ONNX file.")],
    also: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Of an ONNX file: write the mean of its weights and those of this one, trained on from the same; may be given several times.",
        ),
    ] = None,
    longest: Annotated[
        int, typer.Option(help="Longest side of what the network sees, in pixels. [default: the run's]")
    ] = 0,
    temperature: Annotated[float, typer.Option(help="Of the annealed decode. [default: the system's]")] = 0.0,
    gain: Annotated[
        float, typer.Option(help="Of the annealed decode: multiplies its chroma. [default: 1; of a file, its own]")
    ] = 0.0,
    vivid: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Of the annealed decode: share of what a vivid head adds to the mean. [default: 1; of a file, its own]",
        ),
    ] = None,
    rebalance: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="Of the annealed decode: divide each class's likelihood by its frequency in --pictures to this power.",
        ),
    ] = 0.0,
    pictures: Annotated[
        list[str] | None, typer.Option(metavar="PICTURES", help="For --rebalance (as --data of train).")
    ] = None,
    half: Annotated[bool, typer.Option(help="Store large weights as float16.")] = True,
    int8: Annotated[
        list[str] | None,
        typer.Option(metavar="PICTURES", help="Compute in 8 bits, calibrated on these (as --data of train)."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists already.")] = False,
) -> None:
    """Write a run's best network (averaged weights, where it keeps them), or a released colorizer, as one self-contained ONNX file.

    Of an ONNX file: the same network again, stored or calibrated in another way.
    """
    need("export")
    if bool(rebalance) != bool(pictures):
        raise UsageError("--rebalance and --pictures need each other")
    if out.exists() and not overwrite:
        raise SaveError(out, "exists already", "--overwrite replaces it")
    from tintype.train import config
    from tintype.train import export as exporting

    numbers = {"longest": longest or None, "temperature": temperature or None, "gain": gain or None, "vivid": vivid}
    chosen = {k: str(v) for k, v in numbers.items() if v is not None}
    is_file = run.suffix == ".onnx" and not run.is_dir()
    if also and not is_file:
        raise UsageError(f"{run}: --also takes the mean of ONNX files; export each of them first")
    if run.is_dir() and config.system_of(run / "config.yaml") == "tint":
        tint = exporting.load(run)
        write = partial(exporting.export_tint, tint)
        about = exporting.about_tint(tint) | chosen
    elif is_file:
        write = partial(exporting.export_file, run, also=also or ())
        about = exporting.about_file(run) | chosen
    else:
        net, about = exporting.of_run(run) if run.is_dir() else exporting.of_weights(str(run))
        about |= chosen
        write = partial(exporting.export_colors, net)
    if rebalance:
        from tintype.train.rebalance import tilt

        about["tilt"] = tilt(about, pictures or [], rebalance)
    if not int8:
        write(path=out, about=about, half=half)
        return
    from tintype.train.quantize import to_int8

    with TemporaryDirectory(prefix="tintype-") as folder:
        write(path=Path(folder) / "float.onnx", about=about, half=False)
        to_int8(Path(folder) / "float.onnx", out, int8)


def need(verb: str) -> None:
    """One line that says how to get torch, where it is not there."""
    missing = [
        m for m in ("torch", "lightning", "yaml", "onnx", "pyarrow", "matplotlib", "sklearn") if find_spec(m) is None
    ]
    if missing:
        raise ModelError(f"{verb} needs {', '.join(missing)}; pip install 'tintype[train]'")
