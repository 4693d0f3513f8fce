"""`tintype models`: which weights there are, and whether they are whole."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from tintype.cli.report import say, table
from tintype.errors import ModelError, TintypeError, UsageError

app = typer.Typer(help="The networks: list, show, verify.", rich_markup_mode=None, no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="As JSON on stdout.")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """All networks, one line each."""
    from tintype.cards import CARDS

    if as_json:
        sys.stdout.write(json.dumps([asdict(card) for card in CARDS.values()]) + "\n")
        return
    heading = ("NAME", "PARAMETERS", "SHA256", "LICENCE")
    table([heading, *((c.name, f"{c.parameters:,}", c.sha256[:12], c.licence) for c in CARDS.values())])


@app.command()
def show(name: Annotated[str, typer.Argument(metavar="NAME")], as_json: Json = False) -> None:
    """All that is known of one network."""
    from tintype.cards import CARDS

    if name not in CARDS:
        _fail(UsageError(f"there is no network {name!r}; known: {', '.join(CARDS)}"))
    fields = asdict(CARDS[name])
    if as_json:
        sys.stdout.write(json.dumps(fields) + "\n")
    else:
        table((key, str(value)) for key, value in fields.items())


@app.command()
def verify(names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...")] = None) -> None:
    """Check that each network's file is there and has the sha256 of its card. Exit code 3 where one has not."""
    from tintype.cards import CARDS
    from tintype.weights import verified

    damaged = 0
    for name in names or CARDS:
        if name not in CARDS:
            _fail(UsageError(f"there is no network {name!r}; known: {', '.join(CARDS)}"))
        try:
            sys.stdout.write(f"{name}: whole ({verified(CARDS[name])})\n")
        except ModelError as error:
            damaged += 1
            say(f"error: {error}")
    raise typer.Exit(ModelError.exit_code if damaged else 0)


def _fail(error: TintypeError) -> None:
    say(f"error: {error}")
    raise typer.Exit(error.exit_code)
