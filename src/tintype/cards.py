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
        sha256="4312aeaf51459dd1eba63ce5a48db59b82e5740c1e165d02c12943307c42feaa",
        parameters=5_253_018,
        licence="research and personal use: several sources of the training pictures allow no more",
        data="36,195 photographs from 105 public sources, none of them of the validation sets",
    ),
}
