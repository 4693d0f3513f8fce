"""From a card to a verified local file."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path

from tintype.cards import Card
from tintype.errors import ModelError


def sha256_of(path: Path) -> str:
    """The file's sha256, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verified(card: Card) -> Path:
    """The file that `card` names. Raises ModelError where it is missing or its sha256 is not the card's."""
    path = Path(str(files("tintype"))) / "data" / card.file
    if not path.is_file():
        raise ModelError(f"the weights of {card.name!r} are missing: {path}; install tintype again")
    found = sha256_of(path)
    if found != card.sha256:
        raise ModelError(
            f"the weights of {card.name!r} are damaged: {path} has sha256 {found[:12]}, its card {card.sha256[:12]}"
        )
    return path


def card_of_file(path: Path) -> Card:
    """A card for a network that someone has in a file. Raises ModelError where there is none."""
    if not path.is_file():
        raise ModelError(f"there is no file {path}")
    return Card(name=path.stem, file=str(path), sha256=sha256_of(path), parameters=0, licence="unknown", data="unknown")
