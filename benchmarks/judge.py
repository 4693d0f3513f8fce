"""A network for `tintype evaluate` from a quantized TFLite file: python benchmarks/judge.py JUDGE_FOLDER TEACHER_FOLDER -o judge.ts [--classes]

JUDGE_FOLDER holds MobileNet v2 as a .tflite, TEACHER_FOLDER the module tflite_to_torch.py that reads such files (it needs
`pip install tflite`). The TorchScript file that comes out maps RGB (N, 3, 224, 224) in [0, 1] to the pooled features
(N, 1280) before the classifier; it gives what the module gives, or none is written. Its Fréchet distances are those of
MobileNet v2's features: neither FID nor comparable with published figures. With --classes it maps to the scores of the
classes (N, 1001) instead: what the whole network takes the pictures for, for benchmarks/figures.py.
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
_POOLS = ("MEAN", "AVERAGE_POOL_2D")


class Judge(nn.Module):
    """What the converted network `net` has pooled, or says of the `classes`: what goes in is RGB in [0, 1], for it in [-1, 1]."""

    def __init__(self, net: Any, classes: bool = False) -> None:
        super().__init__()
        self.net, self.classes = net, classes
        self.pooled = [step["name"] for step in net.steps if step["op"] in _POOLS][-1]

    def forward(self, rgb: Tensor) -> Tensor:
        """RGB (N, 3, 224, 224) in [0, 1] -> features (N, D), or the classes' scores (N, C)."""
        seen: dict[str, Tensor] = {}
        scores: Tensor = self.net(rgb * 2 - 1, seen)
        return (scores if self.classes else seen[self.pooled]).flatten(1)


def load(judge: Path, teacher: Path, classes: bool = False) -> Judge:
    """The one .tflite of the folder `judge`, read by the module in the folder `teacher`. Raises UsageError where one is missing."""
    files, module = sorted(judge.glob("*.tflite")), teacher / "tflite_to_torch.py"
    if len(files) != 1 or not module.is_file():
        raise UsageError(f"{judge}: expected one .tflite there, found {len(files)}, and {module}")
    spec = importlib.util.spec_from_file_location(module.stem, module)
    assert spec and spec.loader
    reader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reader)
    return Judge(reader.TFL(str(files[0])), classes).requires_grad_(False).eval()


@torch.inference_mode()
def traced(net: Judge) -> Any:
    """The same as TorchScript. Raises UsageError where it gives other features for another number of pictures."""
    generator = torch.Generator().manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # of paddings, which hang on the size alone
        trace: Any = torch.jit.trace
        script = trace(net, torch.rand(2, 3, SIDE, SIDE, generator=generator))
    for count in (1, 5):
        rgb = torch.rand(count, 3, SIDE, SIDE, generator=generator)
        if not torch.allclose(script(rgb), net(rgb), rtol=1e-4, atol=1e-5):
            raise UsageError("the traced network gives other features")
    return script


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("judge", type=Path)
    parser.add_argument("teacher", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--classes", action="store_true", help="the classes' scores instead of the features")
    args = parser.parse_args()
    net = load(args.judge, args.teacher, args.classes)
    script = traced(net)
    with replacing(args.out, overwrite=True) as part:
        torch.jit.save(script, part)
    print(f"{args.out}: {args.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
