"""`tintype models`: which networks and weights there are, what they consist of, and whether they are whole."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tintype.cli.report import say, table
from tintype.cli.run import INTERRUPTED
from tintype.errors import ModelError, UsageError, suggestion

if TYPE_CHECKING:
    from tintype.cards import Card
    from tintype.cli.networks import Anatomy, Part
    from tintype.download import Step

app = typer.Typer(help="The networks: list, show, get, verify.", rich_markup_mode=None, no_args_is_help=True)

#: About so many rows of a network's table fit on a screen; deeper ones are shown by their blocks.
ROWS = 50

Json = Annotated[bool, typer.Option("--json", help="As JSON on stdout.")]
Name = Annotated[str, typer.Argument(metavar="NAME")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """All weights, and all systems that can be trained, one line each. With --json the weights' cards."""
    from tintype.cards import CARDS, NETWORKS

    if as_json:
        sys.stdout.write(json.dumps([asdict(card) for card in CARDS.values()]) + "\n")
        return
    heading = ("NAME", " PARAMETERS", "SHA256", "FILE", "LICENCE")
    table([heading, *((c.name, f"{c.parameters:11,}", c.sha256[:12], _where(c), c.licence) for c in CARDS.values())])
    sys.stdout.write("\n")
    table([("TO TRAIN", "WHAT IT IS"), *((name, n.about) for name, n in NETWORKS.items() if n.trained)])


@app.command()
def show(name: Name, as_json: Json = False) -> None:
    """What a network is: its layers, counted on itself, its input, output and options; and the card of its weights."""
    from tintype.cards import CARDS, NETWORKS
    from tintype.cli.networks import anatomy

    if name not in NETWORKS:
        raise _unknown("network", name, NETWORKS)
    network, card, read = NETWORKS[name], CARDS.get(name), None
    try:
        read = anatomy(name, 0 if as_json else ROWS)
    except ModelError as error:
        if not card:
            raise
        say(f"note: {error}")
    facts = {"name": name, "about": network.about, "paper": network.paper, **(asdict(card) if card else {})}
    if as_json:
        sys.stdout.write(json.dumps({**facts, "network": asdict(read) if read else None}) + "\n")
        return
    told = {key: f"{value:,}" if isinstance(value, int) else str(value) for key, value in facts.items() if value}
    table((told | (_facts(read) if read else {})).items())
    if read:
        _print(read)


@app.command()
def get(
    name: Name,
    origin: Annotated[str, typer.Option("--from", metavar="URL", help="Fetch from here, a URL or a file.")] = "",
    folder: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FOLDER", help="Put it here. [default: the cache]")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Fetch public weights, check them, and print where they are. What was interrupted goes on where it stopped."""
    from tintype import weights
    from tintype.cards import CARDS

    if name not in CARDS:
        raise _unknown("public weights", name, CARDS)
    card = CARDS[name]
    try:
        with _progress(card.name, quiet) as step:
            path = weights.get(card, step, origin=origin, folder=folder)
    except KeyboardInterrupt:
        say("interrupted: the same command goes on from there")
        raise typer.Exit(INTERRUPTED) from None
    if card.url:
        _hold_against_network(name, path, quiet)
    sys.stdout.write(f"{path}\n")


@app.command()
def verify(names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...")] = None) -> None:
    """Check that weights are there and have the sha256 of their card: those named, or all that are here. Exit code 3 where one has not."""
    from tintype.cards import CARDS
    from tintype.weights import place, verified

    damaged = 0
    for name in names or [n for n, card in CARDS.items() if not card.url or place(card).exists()]:
        if name not in CARDS:
            raise _unknown("card", name, CARDS)
        try:
            sys.stdout.write(f"{name}: whole ({verified(CARDS[name])})\n")
        except ModelError as error:
            damaged += 1
            say(f"error: {error}")
    raise typer.Exit(ModelError.exit_code if damaged else 0)


def _unknown(what: str, name: str, known: Iterable[str]) -> UsageError:
    return UsageError(f"there is no {what} {name!r}; {suggestion(name, known)}")


def _where(card: Card) -> str:
    """Where a card's file is."""
    from tintype.download import megabytes
    from tintype.weights import place

    if not card.url:
        return "in the package"
    return "in the cache" if place(card).is_file() else f"{megabytes(card.size)} to get" if card.size else "to get"


def _facts(read: Anatomy) -> dict[str, str]:
    """What a network says of itself, in words. What its weights' card says of their number is replaced by what was counted."""
    told = {"input": read.input, "output": read.output, "parameters": f"{read.parameters:,}"}
    if read.options:
        told["options"] = "; ".join(f"{key}: {value}" for key, value in read.options.items())
    if read.backbone:
        told["backbone"] = f"{read.backbone}: frozen where the recipe names its weights, else trained along"
    return told


def _print(read: Anatomy) -> None:
    """Its layers and its recipe."""
    for part in read.parts:
        sys.stdout.write("\n")
        table(_rows(part))
    if read.recipe:
        sys.stdout.write(f"\n{read.recipe}\n")
        for line in Path(read.recipe).read_text().splitlines():
            sys.stdout.write(f"    {line}\n")


def _rows(part: Part) -> Iterator[tuple[str, ...]]:
    from tintype.cli.networks import shape_text

    counts = [f"{layer.parameters:,}" for layer in part.layers] + [f"{part.parameters:,}"]
    width = max(map(len, (*counts, "PARAMETERS")))
    yield part.title.upper(), "KIND", "OUTPUT", "PARAMETERS".rjust(width)
    for layer, count in zip(part.layers, counts, strict=False):
        yield layer.layer, layer.kind, shape_text(layer.output), count.rjust(width)
    yield "total", "", " and ".join(map(shape_text, part.outputs)), counts[-1].rjust(width)


def _hold_against_network(name: str, path: Path, quiet: bool) -> None:
    """Whether the tensors are our network's; without torch nobody can tell."""
    try:
        from tintype.nets.public import check
    except ImportError:
        if not quiet:
            say(f"note: {name} was not held against the network, which needs torch; pip install 'tintype[train]'")
        return
    check(name, path)


@contextlib.contextmanager
def _progress(name: str, quiet: bool) -> Iterator[Step]:
    """A bar on a terminal, a line at the start otherwise, nothing when quiet."""
    from tintype.download import megabytes

    if quiet or not sys.stderr.isatty():
        told: list[Any] = []

        def once(done: int, total: int) -> None:
            if not quiet and not told:
                told.append(done)
                say(
                    f"{name}: {megabytes(total) if total else 'size unknown'}"
                    + (f", {megabytes(done)} are here" if done else "")
                )

        yield once
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn(name), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total or None)
