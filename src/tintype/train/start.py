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


def begin_with(net: Tint, path: Path, luma: Tensor) -> list[str]:
    """Give `net` the weights of the ONNX file `path`; the names of its tensors that the file lacks, which stay as they are.

    An exported network has its batch normalizations folded into the convolutions. They are unfolded by what they see of luma (N, 1, H, W):
    each then passes on what it gets, normalized and back again, so that the network computes what the file does. Kernels get
    the size that they are initialized with, and their normalizations the inverse of it: for the optimizer, whose steps
    are of one size, they would be too small otherwise, or too large.
    Raises UsageError for a file that is no `tint`, or of other widths or chroma classes.
    """
    stored = _stored(path)
    folded = [(name, norm_name, norm) for name, norm_name, norm in _folded(net) if f"{name}.weight" in stored]
    unfolded = {f"{norm_name}.{field}" for _, norm_name, _ in folded for field in ("weight", "bias")}
    lacking = []
    for name, tensor in net.state_dict().items():
        if name not in stored:
            if not name.endswith(("running_mean", "running_var", "num_batches_tracked")) and name not in unfolded:
                lacking.append(name)
            continue
        value = stored[name]
        if name == "stem.0.weight" and net.hinted and value.shape[1] == 1:  # of a network that took no hints
            value = torch.cat([value, value.new_zeros(value.shape[0], 3, *value.shape[2:])], 1)
        if value.shape != tensor.shape:
            raise UsageError(
                f"{path}: its {name} is of {tuple(value.shape)}, this network's of {tuple(tensor.shape)}: choose the same widths, classes and hints"
            )
        tensor.copy_(value)
    _unfold(net, {norm: (net.get_submodule(name), stored[f"{name}.bias"]) for name, _, norm in folded}, luma)
    return lacking


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
    if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        raise UsageError(f"{path}: computes in 8 bits; name the file that it was made of")
    tensors = {
        each.name.removesuffix(".half"): torch.from_numpy(np.array(numpy_helper.to_array(each))).float()
        for each in model.graph.initializer
    }
    made = {name: node for node in model.graph.node for name in node.output}
    # A dense layer is a product with a nameless, transposed table, and a sum with its bias.
    for node in model.graph.node:
        bias = next((i for i in node.input if i.endswith(".bias")), None)
        product = next((made[i] for i in node.input if i in made and made[i].op_type == "MatMul"), None)
        if node.op_type == "Add" and bias and product and product.input[1] in tensors:
            tensors.setdefault(bias.removesuffix("bias") + "weight", tensors[product.input[1]].T)
    return {**tensors, "centres": centres}


def _folded(net: nn.Module) -> Iterator[tuple[str, str, nn.BatchNorm2d]]:
    """The convolutions that export folds a batch normalization into: their names, its name, and that."""
    for name, module in net.named_modules():
        if isinstance(module, nn.Sequential):
            for k, (first, second) in enumerate(pairwise(module)):
                if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                    yield f"{name}.{k}", f"{name}.{k + 1}", second


@torch.no_grad()
def _unfold(net: Tint, folded: dict[nn.BatchNorm2d, tuple[nn.Module, Tensor]], luma: Tensor) -> None:
    """Let each normalization pass on what its convolution, whose bias is given with it, gave before; and rescale that."""
    scales = {}
    for norm, (convolution, _) in folded.items():
        weight = convolution.get_parameter("weight")
        usual = (3 * weight[0].numel()) ** -0.5  # root mean square of torch's initial weights
        now = weight.square().mean((1, 2, 3)).sqrt()
        scales[norm] = torch.where(now > 0, usual / now.clamp_min(1e-12), 1.0)
        weight.mul_(scales[norm][:, None, None, None])

    def measure(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None
        x, scale = inputs[0].float(), scales[norm]
        norm.running_mean.copy_(x.mean((0, 2, 3)))
        norm.running_var.copy_(x.var((0, 2, 3), correction=0))
        norm.weight.copy_((norm.running_var + norm.eps).sqrt() / scale)
        norm.bias.copy_(norm.running_mean / scale + folded[norm][1])

    hooks = [norm.register_forward_pre_hook(measure) for norm in folded]
    was, _ = net.training, net.eval()
    net(luma)
    net.train(was)
    for hook in hooks:
        hook.remove()
