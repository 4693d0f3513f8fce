"""Weights to begin with: those of an exported `tint`, so that a network can be trained on, or grown, from the file that was shipped alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from tintype.errors import UsageError
from tintype.nets.tint import Tint
from tintype.train.hinting import no_hints


def begin_with(net: Tint, path: Path, luma: Tensor) -> list[str]:
    """Give `net` the weights of the ONNX file `path`; the names of its tensors that the file lacks, which stay as they are.

    An exported network has its batch normalizations folded into the convolutions. They are unfolded by what they see of luma (N, 1, H, W),
    without hints: each then passes on what it gets, normalized and back again, so that the network computes what the file does.
    Raises UsageError for a file that is no `tint`, or of other widths or chroma classes.
    """
    stored = _stored(path)
    mine = net.state_dict()
    lacking = [name for name in mine if name not in stored and ".running_" not in name and "num_batches" not in name]
    folded = dict(_folded(net))
    for name, tensor in mine.items():
        if name not in stored:
            continue
        value = stored[name]
        if name == "stem.0.weight" and net.hinted and value.shape[1] == 1:  # of a network that took no hints
            value = torch.cat([value, value.new_zeros(value.shape[0], 3, *value.shape[2:])], 1)
        if value.shape != tensor.shape:
            raise UsageError(
                f"{path}: its {name} is of {tuple(value.shape)}, this network's of {tuple(tensor.shape)}: choose the same widths and classes"
            )
        tensor.copy_(value)
    biases = {norm: stored[f"{name}.bias"] for name, norm in folded.items() if f"{name}.weight" in stored}
    _unfold(net, biases, luma)
    known = {
        f"{_norm_of(name)}.{field}" for name in folded if f"{name}.weight" in stored for field in ("weight", "bias")
    }
    return [name for name in lacking if name not in known]


def _stored(path: Path) -> dict[str, Tensor]:
    """The weights in an exported file by the names that the network has for them, and its `centres`."""
    try:
        model = onnx.load(path)
        about = {entry.key: entry.value for entry in model.metadata_props}
        if about["system"] != "tint":
            raise UsageError(f"{path}: is {about['system']}, not tint, whose weights tint can't begin with")
        centres = torch.tensor(json.loads(about["centres"]))
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file to start with") from None
    except UsageError:
        raise
    except Exception:  # whatever a damaged file makes of the reader
        raise UsageError(f"{path}: is no network that tintype export wrote") from None
    tensors = {
        each.name.removesuffix(".half"): torch.from_numpy(np.array(numpy_helper.to_array(each))).float()
        for each in model.graph.initializer
    }
    made = {name: node for node in model.graph.node for name in node.output}
    for (
        node
    ) in model.graph.node:  # a dense layer is a product with a nameless, transposed table, and a sum with its bias
        if node.op_type == "Add":
            bias = next((i for i in node.input if i.endswith(".bias")), None)
            product = next((made[i] for i in node.input if i in made and made[i].op_type == "MatMul"), None)
            if bias and product and product.input[1] in tensors:
                tensors[bias.removesuffix("bias") + "weight"] = tensors[product.input[1]].T
    return {**tensors, "centres": centres}


def _folded(net: nn.Module) -> Iterator[tuple[str, nn.BatchNorm2d]]:
    """The convolutions that export folds a batch normalization into, by name, and that."""
    for name, module in net.named_modules():
        if isinstance(module, nn.Sequential):
            for k, (first, second) in enumerate(pairwise(module)):
                if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                    yield f"{name}.{k}", second


def _norm_of(convolution: str) -> str:
    """The name of the normalization that follows a convolution."""
    head, _, number = convolution.rpartition(".")
    return f"{head}.{int(number) + 1}"


@torch.no_grad()
def _unfold(net: Tint, biases: dict[nn.BatchNorm2d, Tensor], luma: Tensor) -> None:
    """Let each normalization pass on what it gets, and its convolution's bias added."""

    def measure(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None
        x = inputs[0].float()
        norm.running_mean.copy_(x.mean((0, 2, 3)))
        norm.running_var.copy_(x.var((0, 2, 3), correction=0))
        norm.weight.copy_((norm.running_var + norm.eps).sqrt())
        norm.bias.copy_(norm.running_mean + biases[norm])

    hooks = [norm.register_forward_pre_hook(measure) for norm in biases]
    was, _ = net.training, net.eval()
    net(luma, no_hints(luma) if net.hinted else None)
    net.train(was)
    for hook in hooks:
        hook.remove()
