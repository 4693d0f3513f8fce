"""A checkpoint becomes one self-contained ONNX file, as methods.neural reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tintype.nets.tint import Tint
from tintype.train.fit import Config, build_net

#: Tensors with fewer numbers stay float32: they weigh nothing, and biases need the precision most.
HALF_FROM = 1024


def load(run: Path, averaged: bool = True) -> Tint:
    """The network of a run folder, with its averaged (or last) weights, for inference."""
    config = Config.read(run / "config.yaml")
    state = torch.load(run / "checkpoint.pt", weights_only=True, map_location="cpu")
    weights = state["net"]
    if averaged:
        weights = {k.removeprefix("module."): v for k, v in state["average"].items() if k.startswith("module.")}
    topics = weights["topic_head.bias"].numel() if "topic_head.bias" in weights else 0
    net = build_net(config, weights["centres"], topics)
    net.load_state_dict(weights)
    return net.eval()


def fold(net: nn.Module) -> None:
    """Fold every batch normalization that follows a convolution in a Sequential into it, in place."""
    for child in net.modules():
        if isinstance(child, nn.Sequential):
            for i in range(len(child) - 1):
                first, second = child[i], child[i + 1]
                if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                    child[i], child[i + 1] = fuse_conv_bn_eval(first, second), nn.Identity()


def halve(model: onnx.ModelProto) -> None:
    """Store large weights as float16; a Cast brings them back when the file is loaded, so all arithmetic stays float32."""
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and int(np.prod(tensor.dims)) >= HALF_FROM:
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), name + ".half"))
            casts.append(onnx.helper.make_node("Cast", [name + ".half"], [name], to=onnx.TensorProto.FLOAT))
    for cast in reversed(casts):
        model.graph.node.insert(0, cast)


def export(net: Tint, path: Path, about: Mapping[str, str], half: bool = True) -> None:
    """Write `net` to `path`. `about` joins the metadata: `longest`, `temperature`, `gain`, and whatever a reader should know."""
    fold(net)
    side = Tint.multiple
    height, width = (torch.export.Dim(n, min=1, max=64) * side for n in ("rows", "columns"))
    program = torch.onnx.export(
        net,
        (torch.rand(1, 1, 6 * side, 8 * side),),
        input_names=["luma"],
        output_names=["mean", "logits"],
        dynamic_shapes={"luma": {2: height, 3: width}},
        opset_version=20,
        dynamo=True,
        verbose=False,
    )
    assert program is not None  # it is where no file name is given
    model = program.model_proto
    model.graph.doc_string = ""
    for node in model.graph.node:  # the exporter notes its sources' paths there
        node.doc_string = ""
        del node.metadata_props[:]
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    if half:
        halve(model)
    facts = {
        "centres": json.dumps([[round(float(v), 5) for v in row] for row in net.get_buffer("centres")]),
        "multiple": str(Tint.multiple),
        "stride": str(Tint.stride),
        **about,
    }
    for key, value in facts.items():
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
