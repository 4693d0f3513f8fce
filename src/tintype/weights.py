"""From a card to a verified local file: inside the package, or fetched into the cache when asked to, never otherwise."""

from __future__ import annotations

import hashlib
import os
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from tintype.cards import CARDS, Card
from tintype.errors import ModelError

if TYPE_CHECKING:
    from tintype.download import Step


def sha256_of(path: Path) -> str:
    """The file's sha256, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_folder() -> Path:
    """Where what is fetched is kept: $TINTYPE_HOME, else `tintype` in $XDG_CACHE_HOME, else in ~/.cache. The folder may not exist yet."""
    home = os.environ.get("TINTYPE_HOME")
    return Path(home) if home else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tintype"


def place(card: Card, folder: Path | None = None) -> Path:
    """Where the card's file is, or would be: inside the package, or in `folder` (by default the cache's) if it is one to fetch."""
    if not card.url:
        return Path(str(files("tintype"))) / "data" / card.file
    return (folder or cache_folder() / "weights") / card.file


def verified(card: Card, folder: Path | None = None) -> Path:
    """The file that `card` names, at its `place`. Raises ModelError where it is missing or its sha256 is not the card's."""
    path = place(card, folder)
    remedy = f"tintype models get {card.name}" if card.url else "install tintype again"
    if not path.is_file():
        raise ModelError(f"the weights of {card.name!r} are missing: {path}; {remedy}")
    try:
        found = sha256_of(path)
    except OSError as error:
        raise ModelError(f"the weights of {card.name!r} can't be read: {path}: {error.strerror}") from None
    if found != card.sha256:
        raise ModelError(
            f"the weights of {card.name!r} are damaged: {path} has sha256 {found[:12]}, its card {card.sha256[:12]}; {remedy}"
        )
    return path


def get(card: Card, step: Step, *, origin: str = "", folder: Path | None = None) -> Path:
    """The verified file of `card`, fetched from `origin` (a URL or a path; by default the card's own URL) if it isn't at its `place`.

    It comes under its name when it is whole and its sha256 the card's, or not at all; until then it is NAME.part, and an
    interrupted one goes on from there. Raises ModelError where it can't be had, UsageError for an impossible `origin`.
    """
    from tintype import download  # not at the top: what only colorizes has no use for the internet

    path = place(card, folder)
    if not card.url or (path.is_file() and sha256_of(path) == card.sha256):
        return verified(card, folder)
    url = download.address(origin or card.url)
    if os.environ.get("TINTYPE_OFFLINE", "0") not in ("", "0") and not url.lower().startswith("file:"):
        raise ModelError(f"{card.name!r} is not fetched, as TINTYPE_OFFLINE is set; name a file with --from")
    part = path.with_name(path.name + ".part")
    went_on = True
    while went_on:  # a second time where the old part turns out not to have been the beginning of this file
        went_on = download.fetch(url, part, step, card.size)
        found = sha256_of(part)
        if found == card.sha256:
            part.replace(path)
            return path
        part.unlink()
    raise ModelError(
        f"{url}: has sha256 {found[:12]} instead of {card.sha256[:12]}, so it is another file or damaged; name another place with --from"
    )


def named(what: str) -> Path:
    """The file of weights that `what` is: a card's name, or a path. Raises ModelError where there is none, or the card's is damaged."""
    if what in CARDS:
        return verified(CARDS[what])
    path = Path(what)
    if not path.is_file():
        raise ModelError(f"there is no file {path} and no card of that name; known: {', '.join(CARDS)}")
    return path


def card_of_file(path: Path) -> Card:
    """A card for a network that someone has in a file. Raises ModelError where there is none."""
    if not path.is_file():
        raise ModelError(f"there is no file {path}")
    return Card(name=path.stem, file=str(path), sha256=sha256_of(path), parameters=0, licence="unknown", data="unknown")
