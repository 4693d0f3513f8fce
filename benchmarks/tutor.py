"""Several runs of `tint` as one tutor: python benchmarks/tutor.py RUN... -o tutor.ts

The TorchScript file that comes out maps luma to the mean of what the runs' mean heads tell, of the picture and of its mirror image: more than any
of them knows. `tintype train --tutor` lets one network learn it, where the config gives that a weight (tutor_weight).
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tintype.errors import UsageError
from tintype.nets.tint import CHROMA_SCALE, Tint
from tintype.picture.atomic import replacing
from tintype.train.export import fold, load


class Tutor(nn.Module):
    """What some networks tell on average."""

    def __init__(self, nets: Sequence[Tint]) -> None:
        super().__init__()
        self.nets = nn.ModuleList(nets)

    def forward(self, luma: Tensor) -> Tensor:
        """Luma (N, 1, H, W) in [0, 1], sides multiples of 32 -> chroma (N, 2, H/4, W/4)."""
        both = torch.cat([luma, luma.flip(3)])
        told = torch.stack([net.mean_head(net.trunk(both)[0][-1]) for net in self.nets]).mean(0) * CHROMA_SCALE
        straight, mirrored = told.chunk(2)
        return (straight + mirrored.flip(3)) / 2


@torch.inference_mode()
def traced(tutor: Tutor) -> Any:
    """The same as TorchScript. Raises UsageError where it tells something else of other sizes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        trace: Any = torch.jit.trace
        script = trace(tutor, torch.rand(2, 1, 96, 64))
    other = torch.rand(3, 1, 64, 128)
    if not torch.allclose(script(other), tutor(other), atol=1e-4):
        raise UsageError("the traced networks tell something else")
    return script


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    args = parser.parse_args()
    nets = [load(run) for run in args.runs]
    for net in nets:
        fold(net)
    with replacing(args.out, overwrite=True) as part:
        torch.jit.save(traced(Tutor(nets)), part)
    print(f"{args.out}: {len(nets)} networks, {args.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
