"""A checkpoint becomes one self-contained ONNX file, as methods.neural reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tintype.errors import UsageError
from tintype.methods import ab_classes, build
from tintype.nets import public
from tintype.nets.plain import Plain
from tintype.nets.tint import Tint
from tintype.picture.atomic import replacing
from tintype.train import checkpoints, outputs, recipe, systems
from tintype.train.config import Config, read
from tintype.train.quiet import quiet
from tintype.train.views import Seeing, load_classifier
from tintype.weights import named

#: Colorizers that others trained, by the names of their cards.
RELEASED = ("eccv16", "siggraph17")
#: Tensors with fewer numbers stay float32: they weigh nothing, and biases need the precision most.
HALF_FROM = 1024


def load(run: Path, averaged: bool = True) -> Tint:
    """The network of a run folder, with its averaged (or last) weights, for inference. Raises UsageError where there is none."""
    config = recipe.Config.read(run / "config.yaml")
    state = checkpoints.read(run / "checkpoint.pt", ("net", "average"))
    weights = state["net"]
    if averaged:
        weights = {k.removeprefix("module."): v for k, v in state["average"].items() if k.startswith("module.")}
    topics = weights["topic_head.bias"].numel() if "topic_head.bias" in weights else 0
    net = recipe.build_net(config, weights["centres"], topics)
    net.load_state_dict(weights)
    return net.eval()


def export_colors(net: nn.Module, path: Path, about: Mapping[str, str], half: bool = True) -> None:
    """`export` of a network of any kind: its answer becomes chroma or, of classes, stays logits.

    Raises UsageError where about["longest"] is not the one size that the network takes.
    """
    name = "logits" if outputs.kind_of(net) == "classes" else "mean"
    size = int(str(net.multiple)) if net.fixed else 0
    if size and about["longest"] != str(size):
        raise UsageError(f"{about['system']} takes pictures of {size} x {size} pixels, no other longest side")
    export(Colors(net).eval(), path, [name], about, half, size)


def export_tint(net: Tint, path: Path, about: Mapping[str, str], half: bool = True) -> None:
    """`export` of our own network."""
    export(net, path, net.answers, about, half, inputs=net.asks)


def export_file(file: Path, path: Path, about: Mapping[str, str], half: bool = True, also: Sequence[Path] = ()) -> None:
    """Write the network in the ONNX file `file` to `path`, as it is but for what `about` says of it anew and how its large weights are stored.

    With the files `also`, of the same network, its weights are the mean of its own and theirs. Raises ModelError where one is no colorizer, UsageError where it
    computes in 8 bits already, takes pictures of another size than about["longest"] only, or where they are of different networks.
    """
    model = _loaded(file)
    if also:
        blend(model, [(other, _loaded(other)) for other in also])
    size = str(model.graph.input[0].type.tensor_type.shape.dim[-1].dim_value)  # 0: any
    if size != "0" and about.get("longest", size) != size:
        raise UsageError(f"{file}: takes pictures of {size} x {size} pixels, no other longest side")
    known = _about(model)
    del model.metadata_props[:]
    _write(model, path, known | dict(about), half)


def _loaded(file: Path) -> onnx.ModelProto:
    """The model in a file that we wrote, its weights in float32. Raises ModelError where it is no colorizer, UsageError where it computes in 8 bits."""
    build(str(file), "cpu")
    model = onnx.load(file)
    if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        raise UsageError(f"{file}: computes in 8 bits already; name the file that it was made of")
    widen(model)
    return model


def about_file(file: Path) -> dict[str, str]:
    """What the ONNX file of a network says of it. Raises ModelError where it is no colorizer."""
    build(str(file), "cpu")
    return _about(onnx.load(file))


def _about(model: onnx.ModelProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in model.metadata_props}


def about_tint(net: Tint) -> dict[str, str]:
    """What the file of our own network says of it, before it is calibrated."""
    return {
        "system": "tint",
        "space": "chroma",
        "centres": json.dumps([[round(float(v), 5) for v in row] for row in net.get_buffer("centres")]),
        "square": "0",
        "multiple": str(Tint.multiple),
        "stride": str(Tint.stride),
        "longest": "256",
        "temperature": "1",
        "gain": "1",
    }


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


def widen(model: onnx.ModelProto) -> None:
    """Undo `halve`: all weights are float32 again, without what the rounding took from them."""
    halves = {t.name: t for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT16}
    for node in [n for n in model.graph.node if n.op_type == "Cast" and n.input[0] in halves]:
        tensor = halves[node.input[0]]
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), node.output[0]))
        model.graph.node.remove(node)


def blend(model: onnx.ModelProto, others: Sequence[tuple[Path, onnx.ModelProto]]) -> None:
    """Let the weights of `model` be the mean of its own and those of `others`, each in the file named (Wortsman et al. 2022, "model soups").

    That is a network where all began with the same weights, or one with the other's: from random beginnings, what a channel means is another
    in each, and their mean means nothing. Raises UsageError for a file of another network, or of other colour classes.
    """
    mine, classes = _weights(model), _about(model).get("centres")
    files = [mine]
    for file, other in others:
        theirs = _weights(other)
        alike = {k: list(v.dims) for k, v in mine.items()} == {k: list(v.dims) for k, v in theirs.items()}
        if not alike or _about(other).get("centres") != classes:
            raise UsageError(f"{file}: is of another network, or of other colour classes; a mean is of files of one")
        files.append(theirs)
    for name, tensor in mine.items():
        values = [numpy_helper.to_array(weights[name]) for weights in files]
        tensor.CopyFrom(numpy_helper.from_array(np.mean(values, 0, dtype=np.float64).astype(np.float32), name))


def _weights(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """Its float32 tensors by name, after `widen` all that it has learnt."""
    return {t.name: t for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT}


def rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Give values of a graph other names, all at once; those that `names` lacks stay as they are."""
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in (*graph.initializer, *graph.value_info, *graph.input, *graph.output):
        value.name = names.get(value.name, value.name)


class Colors(nn.Module):
    """A network of any kind as methods.neural wants it: luma (1, 1, H, W) -> chroma, or, of classes, the logits."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.kind = outputs.kind_of(net)

    def forward(self, luma: Tensor) -> Tensor:
        answer = self.net(luma)
        return answer if self.kind == "classes" else outputs.chroma_of(self.kind, answer, luma)


def of_run(run: Path) -> tuple[nn.Module, dict[str, str]]:
    """The best network of a run folder, for inference, and what its file is to say of it. Raises UsageError where there is none."""
    config = read(run / "config.yaml")
    net = systems.network(config, loaded=False)
    path = run / "checkpoints" / "best.ckpt"
    state = checkpoints.read(path, ("state_dict",))["state_dict"]
    try:
        net.load_state_dict({k.removeprefix("net."): v for k, v in state.items() if k.startswith("net.")})
    except RuntimeError as error:
        raise UsageError(f"{path}: holds no weights of {config.system}: {checkpoints.first_line(error)}") from None
    if config.backbone and systems.system(config.system).views:
        net = Seeing(net, load_classifier(named(config.backbone)))
    return net.eval(), about(config, net)


def of_weights(name: str, path: Path | None = None) -> tuple[nn.Module, dict[str, str]]:
    """R4: a colorizer as others released it, and what its file is to say of it. Its input is squeezed to the square that it was trained on.

    `path`: its weights; by default what `tintype models get` fetched. Raises UsageError for a name that is not one of
    theirs, ModelError where the weights are missing or not of this network.
    """
    if name not in RELEASED:
        raise UsageError(f"there is no run folder {name} and no released colorizer of that name: {', '.join(RELEASED)}")
    found = public.PUBLIC[name]
    path = path or named(name)
    public.check(name, path)
    net = found.build()
    net.load_state_dict(public.read(path))
    classes = isinstance(net, Plain)
    return net.eval(), {
        "system": name,
        "space": "ab" if classes else "chroma",
        "centres": json.dumps(net.centres().tolist() if isinstance(net, Plain) else []),
        "square": "1",
        "multiple": str(net.multiple),
        "stride": str(net.stride),
        "longest": str(found.size),
        "temperature": str(ab_classes.TEMPERATURE),
        "gain": "1",
    }


def about(config: Config, net: nn.Module) -> dict[str, str]:
    """What the file of a network trained by `config` is to say of it: see methods.neural."""
    classes, last = outputs.kind_of(net) == "classes", config.phases[-1]
    return {
        "system": config.system,
        "space": "ab" if classes else "chroma",
        "centres": json.dumps(ab_classes.centres().tolist() if classes else []),
        "square": str(int(bool(net.fixed) or last.area is None)),
        "multiple": str(net.multiple),
        "stride": str(net.stride),
        "longest": str(net.multiple if net.fixed else last.size),
        "temperature": str(ab_classes.TEMPERATURE),
        "gain": "1",
    }


def export(
    net: nn.Module,
    path: Path,
    names: Sequence[str],
    about: Mapping[str, str],
    half: bool = True,
    size: int = 0,
    inputs: Mapping[str, int] = MappingProxyType({"luma": 1}),
) -> None:
    """Write `net`, from `inputs`, each so many channels, to the outputs called `names`, to `path`, with `about` as its metadata: see methods.neural.

    `size`: the only side of the input that it takes, in pixels; 0: all multiples of about["multiple"].
    """
    fold(net)
    side = int(about["multiple"])
    height, width = (torch.export.Dim(n, min=1, max=64) * side for n in ("rows", "columns"))
    with quiet():
        program = torch.onnx.export(
            net,
            tuple(torch.rand(1, c, size or 6 * side, size or 8 * side) for c in inputs.values()),
            input_names=list(inputs),
            output_names=[f"output:{name}" for name in names],
            dynamic_shapes=None if size else {key: {2: height, 3: width} for key in inputs},
            opset_version=20,
            dynamo=True,
            verbose=False,
        )
    assert program is not None  # it is where no file name is given
    model = program.model_proto
    # The exporter gives inner values such names, too: a network that takes a mean has a `mean`.
    rename(model.graph, {name: f"inner:{name}" for name in names} | {f"output:{name}": name for name in names})
    model.graph.doc_string = ""
    for node in model.graph.node:  # the exporter notes its sources' paths there
        node.doc_string = ""
        del node.metadata_props[:]
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    _write(model, path, about, half)


def _write(model: onnx.ModelProto, path: Path, about: Mapping[str, str], half: bool) -> None:
    """The file, with `about` as its metadata."""
    if half:
        halve(model)
    for key, value in about.items():
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model)
    with replacing(path, overwrite=True) as part:
        part.write_bytes(model.SerializeToString())
