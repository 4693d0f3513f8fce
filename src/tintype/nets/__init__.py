"""The networks, by name. A new one is one file here, one line in NETS, one config."""

from __future__ import annotations

from torch import nn

from tintype.nets.tint import Tint

NETS: dict[str, type[nn.Module]] = {"tint": Tint}
