"""What is known of each set of weights: one frozen row each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    """A set of weights. `file` is a name inside the package's data folder; the long card is docs/models/NAME.md."""

    name: str
    file: str
    sha256: str
    parameters: int
    licence: str
    data: str


CARDS: dict[str, Card] = {
    "tint": Card(
        name="tint",
        file="tint.onnx",
        sha256="0df6bd714bd466d5a5ce18f467ebfa8c7913f2f0fed3f3d0553d2584baa37c8d",
        parameters=5_253_018,
        licence="research and personal use: several sources of the training pictures allow no more",
        data="36,195 photographs from 105 public sources, none of them of the validation sets",
    ),
}
