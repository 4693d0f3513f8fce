"""A network's file with weights and activations of 8 bits, their ranges found on real pictures (static quantization)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from tintype.colorizer import Colorizer
from tintype.errors import UsageError
from tintype.guidance.hints import Hints
from tintype.methods.method import InputRules, Options
from tintype.methods.neural import Neural
from tintype.picture.atomic import replacing
from tintype.train.cache import some_of
from tintype.train.crops import luma_of
from tintype.train.quiet import quiet

Float = NDArray[np.float32]

#: Pictures that show the activations' ranges.
CALIBRATION = 96
#: What the work is in. The rest, such as the way from CIELAB to chroma, has no precision to spare.
_QUANTIZED = ["Conv", "ConvTranspose", "Gemm"]
#: The first so many convolutions stay as they are: little work, and it is there that 8 bits cost the most colour.
_SPARED = 2
#: The pictures' short side, at most: more than any network here sees.
_SHORT = 512


def to_int8(path: Path, out: Path, names: Sequence[str]) -> None:
    """Write the network in the file `path` (float32) to `out` with 8 bits, calibrated on pictures from the places called `names`.

    The file's metadata stay, and so do its input and outputs, float32. Raises UsageError where no picture can be read,
    ModelError where `path` is no colorizer.
    """
    colorizer = Colorizer(str(path), device="cpu")
    assert isinstance(colorizer.method, Neural)
    colorizer.method = watched = _Watched(colorizer.method)
    for rgb in some_of(names, CALIBRATION, _SHORT):
        colorizer.colorize_array((luma_of(rgb) * 255).round().astype(np.uint8))
    if not watched.shown:
        raise UsageError(f"{', '.join(names)}: no picture there can be decoded")
    about = onnx.load(path).metadata_props
    with quiet(), tempfile.TemporaryDirectory(prefix="tintype-") as folder:
        prepared, done = Path(folder) / "prepared.onnx", Path(folder) / "done.onnx"
        quant_pre_process(path, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            done,
            _Reader(watched.shown),
            op_types_to_quantize=_QUANTIZED,
            nodes_to_exclude=[n.name for n in onnx.load(prepared).graph.node if n.op_type == "Conv"][:_SPARED],
            per_channel=True,
            weight_type=QuantType.QInt8,
        )
        model = onnx.load(done)
    del model.metadata_props[:]
    model.metadata_props.extend(about)
    with replacing(out, overwrite=True) as part:
        part.write_bytes(model.SerializeToString())


class _Watched:
    """A network as a method that keeps what it is shown, and answers with no colour."""

    def __init__(self, network: Neural) -> None:
        self.name, self.sha256, self.rules = network.name, network.sha256, network.rules
        self.shown: list[dict[str, Float]] = []
        self._network = network

    name: str
    sha256: str
    rules: InputRules

    def chroma(self, luma: Float, hints: Hints, options: Options) -> Float:
        """See Method."""
        self.shown.append(self._network.inputs(luma))
        return np.zeros((1, 1, 2), np.float32)


class _Reader:
    """A network's inputs, one picture after the other, as onnxruntime's CalibrationDataReader gives them."""

    def __init__(self, inputs: Iterable[dict[str, Float]]) -> None:
        self._left = iter(inputs)

    def get_next(self) -> dict[str, Float] | None:
        """The next one, or None."""
        return next(self._left, None)
