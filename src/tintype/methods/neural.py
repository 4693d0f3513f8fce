"""Colorization by a network in an ONNX file. The only user of onnxruntime.

The file is self-contained: input `luma` (1, 1, h, w) in [0, 1], sides multiples of its `multiple`, and perhaps `hints`
(1, 3, h, w), see nets.tint; outputs `mean` (1, 2, h/s, w/s), a colour, and `logits` (1, K, h/s, w/s) over colour classes, or
one of them, and perhaps `vivid`, a colour as `mean`. Its metadata hold the rest: the classes' `centres`, the `space` of all
colours (`chroma`, or `ab` of CIELAB), the input rules, and the calibration of the default decode: `temperature`, `gain`, and
perhaps a `tilt` (K,), which is added to the logits where they are decoded, because common classes win too often, and `vivid`,
the share of the way from the mean colour to the vivid one that is gone (without it all of it).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from tintype.cards import Card
from tintype.errors import ModelError, UsageError
from tintype.guidance.hints import Hints
from tintype.methods.ab_classes import ab_to_chroma
from tintype.methods.method import InputRules, Options, refuse_hints
from tintype.picture.reduce import average

Float = NDArray[np.float32]

#: Width, in chroma, over which the preferences of a sampled colouring hang together: a taste for orange likes all oranges.
TASTE_WIDTH = 0.10
#: How far tastes go, in units of logits: other colours for what may have several, not for all.
TASTE_STRENGTH = 0.35

#: From this luma, in [0, 1], up the gain counts wholly, from that down not at all: dark clothes and dim corners, whose colours are the most
#: in doubt and where little chroma is a strong colour, turned violet and wine red by it.
LIT, DARK = 0.35, 0.05

#: Of a network's colours: about how many of them are as much as one of chroma.
_UNITS = {"chroma": 1.0, "ab": 220.0}
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def devices() -> list[str]:
    """The devices that the installed onnxruntime can use, best first."""
    return [d for d in ("cuda", "cpu") if _PROVIDERS[d] in ort.get_available_providers()]


class Neural:
    """A network as a method. `device` is "cpu", "cuda" or "auto" (the best there is); `threads` None means all cores.

    `space` is that of its colours, `centres` (K, 2) its classes there, `stride` how many pixels of what it sees a place of
    its outputs stands for, along a side; `temperature`, `gain` and `vivid` (a share, 0 to 1) are those of the default decode.
    """

    def __init__(self, card: Card, path: Path, device: str = "auto", threads: int | None = None) -> None:
        self.device = devices()[0] if device == "auto" else device
        if self.device not in _PROVIDERS:
            raise UsageError(f"there is no device {device!r}; known: auto, {', '.join(_PROVIDERS)}")
        if self.device not in devices():
            raise ModelError(
                f"this onnxruntime can't use {device!r}, only {', '.join(devices())}; pip install 'tintype[gpu]'"
            )
        settings = ort.SessionOptions()
        settings.intra_op_num_threads = threads or 0
        settings.inter_op_num_threads = 1
        settings.log_severity_level = 3
        # Idle threads must not spin: the rest of the pipeline wants the same cores.
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Arenas keep the memory of the largest picture ever seen; without them memory stays flat over a folder.
        settings.enable_cpu_mem_arena = False
        try:
            self._session = ort.InferenceSession(path, settings, providers=[_PROVIDERS[self.device]])
            about = self._session.get_modelmeta().custom_metadata_map
            self._hinted = any(i.name == "hints" for i in self._session.get_inputs())
            self._outputs = [o.name for o in self._session.get_outputs()]
            self.centres = np.array(json.loads(about["centres"]), np.float32)
            self.space = about["space"]
            self._unit = _UNITS[self.space]
            self._multiple, self.stride = int(about["multiple"]), int(about["stride"])
            self.temperature, self.gain = float(about["temperature"]), float(about["gain"])
            self.vivid = float(about.get("vivid", "1"))
            self._tilt = np.array(json.loads(about.get("tilt", "[0]")), np.float32)
            if len(self._tilt) not in (1, len(self.centres)):
                raise ValueError(f"it tilts {len(self._tilt)} classes and has {len(self.centres)}")
            self.rules = InputRules(int(about["longest"]), about["square"] == "1", self._multiple)
        except KeyError as error:
            raise ModelError(
                f"{path} is an ONNX file, but no colorizer of Tintype: it lacks the metadata {error}"
            ) from None
        except Exception as error:  # onnxruntime's own exceptions have no public base
            raise ModelError(f"{path} can't be loaded: {str(error).splitlines()[0]}") from None
        self.name, self.sha256 = card.name, card.sha256

    def chroma(self, luma: Float, hints: Hints, options: Options) -> Float:
        """See Method."""
        refuse_hints(self.name, hints)
        return self.decoded(self.answer(luma), luma, options)

    def answer(self, luma: Float, told: Float | None = None) -> dict[str, Float]:
        """The network's outputs for luma (h, w) by their names, (h/s, w/s, channels) each, sides rounded up.

        `told` are hints (3, h, w) as nets.tint takes them. Raises UsageError for a network that takes none.
        """
        (h, w), s = luma.shape, self.stride
        answers = self._session.run(self._outputs, self.inputs(luma, told))
        keep = (slice(0, -(-h // s)), slice(0, -(-w // s)))
        return {k: a[0].transpose(1, 2, 0)[keep] for k, a in zip(self._outputs, answers, strict=True)}

    def decoded(self, answer: dict[str, Float], luma: Float, options: Options) -> Float:
        """Chroma (h/s, w/s, 2) as `chroma` gives it, of the network's `answer` to luma (h, w)."""
        logits = answer.get("logits")
        mean = answer["mean"] if "mean" in answer else self._expected(answer["logits"])
        vivid = answer.get("vivid")
        small = average(luma, (mean.shape[0], mean.shape[1]))
        color = mean
        if logits is not None and options.decode != "mean":
            color = self._decode(mean, vivid, logits, small, options)
        return np.ascontiguousarray(color) if self._unit == 1 else ab_to_chroma(small, color)

    def inputs(self, luma: Float, told: Float | None = None) -> dict[str, Float]:
        """Luma (h, w) as the network takes it, (1, 1, h', w'): sides filled up to its multiple by repeating the edge. And, where it asks for hints, what is `told`, or none."""
        if told is not None and not self._hinted:
            raise UsageError(f"{self.name} takes no hints")
        (h, w), m = luma.shape, self._multiple
        more = ((0, -h % m), (0, -w % m))
        filled: Float = np.pad(luma, more, mode="edge")[None, None]
        if not self._hinted:
            return {"luma": filled}
        none = np.zeros((1, 3, *filled.shape[2:]), np.float32)
        return {"luma": filled, "hints": none if told is None else np.pad(told, ((0, 0), *more))[None]}

    def _decode(self, mean: Float, vivid: Float | None, logits: Float, luma: Float, options: Options) -> Float:
        """Mean and vivid colour (h, w, 2), class logits (h, w, K) and luma (h, w) -> colour (h, w, 2), in the network's space.

        `mode`: the likeliest class. `annealed`: the mean, moved as the classes' own mean moves when they are tilted and their temperature
        is lowered (Zhang, Isola, Efros 2016, section 2.3; where the mean lies, the regression head knows better than the
        classes), times the gain that gives photographs their colourfulness back (less in the dark); of a network with a vivid colour, that one, or one on the way to it, instead of the mean. `sample`: the same after one draw of taste for the whole picture, so that one thing gets one colour.
        """
        if options.decode == "mode":
            likeliest: Float = self.centres[logits.argmax(-1)]
            return likeliest
        tilted, color = logits + self._tilt, mean if vivid is None else mean + np.float32(self.vivid) * (vivid - mean)
        if options.decode == "sample":
            tilted = tilted + np.float32(TASTE_STRENGTH) * self._taste(options)
        color = color + self._expected(tilted, options.temperature or self.temperature) - self._expected(logits)
        return np.asarray(color * self._gain(luma)[..., None], np.float32)

    def _gain(self, luma: Float) -> Float:
        """The gain at each place (h, w), by its luma: 1 in the dark, smoothly up to the file's own where it is light."""
        light = np.clip((luma - DARK) / (LIT - DARK), 0, 1)
        return np.asarray(1 + (self.gain - 1) * light * light * (3 - 2 * light), np.float32)

    def _expected(self, logits: Float, temperature: float = 1.0) -> Float:
        """The mean colour (h, w, 2) of a distribution over classes (h, w, K)."""
        weights = np.exp((logits - logits.max(-1, keepdims=True)) / np.float32(temperature))
        expected: Float = weights @ self.centres / weights.sum(-1, keepdims=True)
        return expected

    def _taste(self, options: Options) -> Float:
        """One preference per class (K,), unit variance, smooth over the plane of colours: a draw of a Gaussian process."""
        rng = np.random.default_rng([options.seed, options.variant])
        apart = ((self.centres[:, None] - self.centres[None]) ** 2).sum(-1)
        kernel = np.exp(-apart.astype(np.float64) / (2 * (TASTE_WIDTH * self._unit) ** 2)) + 1e-6 * np.eye(len(apart))
        return (np.linalg.cholesky(kernel) @ rng.standard_normal(len(apart))).astype(np.float32)
