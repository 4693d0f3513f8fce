"""A network for `tintype evaluate` or `train` from a quantized TFLite file: python benchmarks/judge.py FOLDER READER_FOLDER -o judge.ts [--gives features|classes|maps]

FOLDER holds a MobileNet as a .tflite, READER_FOLDER the module tflite_to_torch.py that reads such files (it needs
`pip install tflite`). The TorchScript file that comes out maps RGB in [0, 1] to what the module gives, or none is written:
- features: (N, 3, 224, 224) to the pooled features (N, D) before the classifier. Their Fréchet distances are those of this
  network's features: neither FID nor comparable with published figures.
- classes: the same to the scores of the classes (N, C): what the network takes the pictures for, for benchmarks/figures.py.
- maps: (N, 3, H, W), sides multiples of 32, to its last maps at 1/4, 1/8, 1/16 and 1/32: a --teacher for `tintype train`.
"""

from __future__ import annotations

import argparse
import importlib.util
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tintype.errors import UsageError
from tintype.picture.atomic import replacing

SIDE = 224
_SCALES = (4, 8, 16, 32)
_POOLS = ("MEAN", "AVERAGE_POOL_2D")


class Judge(nn.Module):
    """What the converted network `net` gives: what goes in is RGB in [0, 1], for it in [-1, 1]."""

    def __init__(self, net: Any, gives: str = "features") -> None:
        super().__init__()
        self.net, self.gives = net, gives
        self.pooled = [step["name"] for step in net.steps if step["op"] in _POOLS][-1]

    def forward(self, rgb: Tensor) -> Tensor | tuple[Tensor, ...]:
        """RGB (N, 3, H, W) in [0, 1] -> features (N, D), scores (N, C) or four maps (N, C, H/4, W/4) to (N, C, H/32, W/32)."""
        seen: dict[str, Tensor] = {}
        scores: Tensor = self.net(rgb * 2 - 1, seen)
        if self.gives == "maps":  # of each size the last
            return tuple(self._last(seen, rgb.shape[2] // scale) for scale in _SCALES)
        return (scores if self.gives == "classes" else seen[self.pooled]).flatten(1)

    def _last(self, seen: dict[str, Tensor], side: int) -> Tensor:
        """The last map of that height."""
        return [each for each in seen.values() if each.ndim == 4 and each.shape[2] == side][-1]


def load(folder: Path, reader: Path, gives: str = "features") -> Judge:
    """The one .tflite of `folder`, read by the module in the folder `reader`. Raises UsageError where one is missing."""
    files, module = sorted(folder.glob("*.tflite")), reader / "tflite_to_torch.py"
    if len(files) != 1 or not module.is_file():
        raise UsageError(f"{folder}: expected one .tflite there, found {len(files)}, and {module}")
    spec = importlib.util.spec_from_file_location(module.stem, module)
    assert spec and spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return Judge(made.TFL(str(files[0])), gives).requires_grad_(False).eval()


@torch.inference_mode()
def traced(net: Judge) -> Any:
    """The same as TorchScript. Raises UsageError where it gives other features for another number of pictures."""
    generator = torch.Generator().manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # of paddings, which hang on the size alone
        trace: Any = torch.jit.trace
        script = trace(net, torch.rand(2, 3, SIDE, SIDE, generator=generator))
    for count, side in ((1, SIDE), (5, 96 if net.gives == "maps" else SIDE)):
        rgb = torch.rand(count, 3, side, side, generator=generator)
        if not all(
            torch.allclose(*pair, rtol=1e-4, atol=1e-5)
            for pair in zip(_each(script(rgb)), _each(net(rgb)), strict=True)
        ):
            raise UsageError("the traced network gives something else")
    return script


def _each(answer: Any) -> tuple[Tensor, ...]:
    return answer if isinstance(answer, tuple) else (answer,)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("reader", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--gives", choices=("features", "classes", "maps"), default="features")
    args = parser.parse_args()
    net = load(args.folder, args.reader, args.gives)
    script = traced(net)
    with replacing(args.out, overwrite=True) as part:
        torch.jit.save(script, part)
    print(f"{args.out}: {args.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
