"""A training run as a YAML file says it, checked key by key before anything is loaded."""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from tintype.errors import UsageError, suggestion

T = TypeVar("T")


def _at_least(least: int, **values: int) -> None:
    for name, value in values.items():
        if value < least:
            raise ValueError(f"{name} is {value}; expected {least} or more")


@dataclass(frozen=True)
class Phase:
    """Part of a run: `epochs` epochs on `batch` crops of `size` x `size` pixels, each a share in `area` of its picture's square.

    `stretch` is the largest change of a crop's ratio, as the logarithm of a factor. Without `area` pictures are taken whole,
    squeezed to the square (as small pictures and the old reports have it).
    """

    epochs: int
    size: int
    batch: int
    area: tuple[float, float] | None = None
    stretch: float = 0.0

    def __post_init__(self) -> None:
        _at_least(1, epochs=self.epochs, size=self.size, batch=self.batch)
        if self.area is not None and not 0 < self.area[0] <= self.area[1] <= 1:
            raise ValueError(f"area is {list(self.area)}; expected two rising shares of 1")


@dataclass(frozen=True)
class Optimizer:
    """See train.optimizers. `momentum` is of sgd and rmsprop, `betas` of the Adams, `decay` (rho) of rmsprop."""

    name: Literal["adam", "adamw", "nadam", "rmsprop", "sgd"] = "adam"
    learning_rate: float = 0.001
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    decay: float = 0.9
    momentum: float = 0.0
    weight_decay: float = 0.0


@dataclass(frozen=True)
class Schedule:
    """How the learning rate goes. `plateau`: times `factor` after `patience` epochs without a better validation loss, down to `floor`.

    `cosine` and `one-cycle`: over all steps, after `warm_up` steps of rising (one-cycle: three tenths of all, where it is 0), down to
    `floor` times the peak.
    """

    name: Literal["constant", "plateau", "cosine", "one-cycle"] = "constant"
    warm_up: int = 0
    factor: float = 0.1
    patience: int = 5
    floor: float = 0.0

    def __post_init__(self) -> None:
        _at_least(1, patience=self.patience)
        if self.name == "plateau" and self.warm_up:
            raise ValueError("a plateau waits for epochs and has no warm_up; choose another schedule, or leave it out")


@dataclass(frozen=True)
class Config:
    """One training run. `net` and `loss` are what train.systems gives the system's network and loss, which knows their keys; see configs/."""

    system: str
    phases: tuple[Phase, ...]
    net: dict[str, Any] = field(default_factory=dict)
    loss: dict[str, Any] = field(default_factory=dict)
    backbone: str = ""  #: name of the card (tintype models get), or file, of the frozen network's weights; without, that part learns from scratch
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    steps_per_epoch: int = 0  #: 0: once through the pictures
    validation: float = 0.02  #: share of the pictures that is held out, where no packs for it are named
    validation_most: int = 512  #: and at most so many of them
    l1: float = 0.0  #: weight of the sum of the weights' absolute values
    l2: float = 0.0  #: and of their squares
    clip: float = 0.0  #: largest norm of the gradient; 0: any
    ema: float = 0.0  #: decay of the weights' moving average; 0: none
    stop_after: int = 0  #: epochs without a better validation loss; 0: never
    spoil: float = 0.0  #: share of the inputs that are aged as prints are
    flip: bool = True
    balance: float = 0.0  #: pictures of a source are drawn with its size to the power 1 - balance
    short: int = 0  #: pictures are kept with at most this short side; 0: an eighth more than the largest crop's
    precision: Literal["float32", "bfloat16", "auto"] = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.phases:
            raise ValueError("phases is empty")
        if not 0 < self.validation < 1:
            raise ValueError(f"validation is {self.validation}; expected a share between 0 and 1")
        _at_least(1, validation_most=self.validation_most)
        _at_least(0, steps_per_epoch=self.steps_per_epoch, stop_after=self.stop_after, short=self.short)

    @property
    def kept(self) -> int:
        """The short side, in pixels, that pictures are kept with."""
        return self.short or max(phase.size for phase in self.phases) * 9 // 8

    def within(self, epochs: int) -> Config:
        """The same run for so many epochs: its phases cut there, or its last one prolonged."""
        phases = list[Phase]()
        for phase in self.phases:
            rest = epochs - sum(p.epochs for p in phases)
            if rest > 0:
                phases.append(replace(phase, epochs=rest if phase is self.phases[-1] else min(rest, phase.epochs)))
        return replace(self, phases=tuple(phases))

    @property
    def epochs(self) -> int:
        """Of all phases together."""
        return sum(p.epochs for p in self.phases)

    def steps_of(self, phase: Phase, pictures: int, processes: int = 1) -> int:
        """Optimizer steps in one of a phase's epochs, on so many pictures: `processes` take a batch each in every step."""
        return self.steps_per_epoch or max(1, pictures // (phase.batch * processes))

    def steps(self, pictures: int, processes: int = 1) -> int:
        """Optimizer steps of the whole run."""
        return sum(p.epochs * self.steps_of(p, pictures, processes) for p in self.phases)

    def phase_of(self, epoch: int) -> Phase:
        """The phase that the epoch (from 0) belongs to."""
        for phase in self.phases:
            if epoch < phase.epochs:
                return phase
            epoch -= phase.epochs
        return self.phases[-1]


class Lined(dict[str, Any]):
    """Keys and values whose meaning is known elsewhere. `lines`: where each key stands, as "FILE:LINE"."""

    lines: dict[str, str]


def read(path: Path) -> Config:
    """The run that the YAML file `path` says; see `read_as`."""
    return read_as(path, Config)


def read_as(path: Path, kind: type[T]) -> T:
    """The dataclass `kind` that the YAML file `path` says. Its key `base` names another such file, whose keys count where it has none.

    Files are named relative to the one that names them.

    Raises UsageError, which names file, line, key and the nearest known key.
    """
    made: T = _Reader().made(_composed(path), kind, "")
    return made


def _composed(path: Path, above: tuple[Path, ...] = ()) -> yaml.MappingNode:
    """The file's keys and values as nodes, which know their file and line; those of its base with them."""
    try:
        with path.open() as file:  # not its text: so that nodes know the file
            node = yaml.compose(file)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: can't be read: {error}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(node, yaml.MappingNode):
        raise UsageError(f"{path}: is no list of keys and values")
    base = next((value for key, value in node.value if key.value == "base"), None)
    if base is None:
        return node
    below = (path.parent / str(base.value)).resolve()
    if below in (path.resolve(), *above):
        raise UsageError(f"{_place(base)}: {base.value} is its own base")
    own = [(key, value) for key, value in node.value if key.value != "base"]
    known = {key.value for key, _ in own}
    inherited = [pair for pair in _composed(below, (*above, below)).value if pair[0].value not in known]
    node.value = [*own, *inherited]
    return node


def _place(node: yaml.Node) -> str:
    """FILE:LINE."""
    return f"{node.start_mark.name}:{node.start_mark.line + 1}"


def system_of(path: Path) -> str:
    """The system that a YAML file names; `tint`, whose recipe is of another form, says `net` instead. "" where it names none."""
    try:
        keys = {key.value: value.value for key, value in _composed(path).value}
    except UsageError:
        return ""
    return str(keys.get("system") or keys.get("net"))


def written(config: Any) -> str:
    """A dataclass as YAML, every key in it; `read_as` reads it back."""
    text: str = yaml.safe_dump(_plain(dataclasses.asdict(config)), sort_keys=False)
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, Path):
        return str(value)
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value


class _Reader:
    """YAML nodes -> dataclasses. Nodes, not values: they know their lines."""

    def refuse(self, node: yaml.Node, what: str) -> UsageError:
        return UsageError(f"{_place(node)}: {what}")

    def made(self, node: yaml.Node, kind: Any, name: str) -> Any:
        """`node` as the type `kind`; `name` is its key, for errors."""
        if dataclasses.is_dataclass(kind):
            return self._dataclass(node, kind, name)
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
        if origin in (types.UnionType, typing.Union):
            if isinstance(node, yaml.ScalarNode) and self._plain(node) is None:
                return None
            return self.made(node, next(a for a in arguments if a is not types.NoneType), name)
        if origin is tuple:
            if not isinstance(node, yaml.SequenceNode):
                raise self.refuse(node, f"{name} is not a list")
            if arguments[-1] is not Ellipsis and len(arguments) != len(node.value):
                raise self.refuse(node, f"{name} has {len(node.value)} values instead of {len(arguments)}")
            kinds = [arguments[0]] * len(node.value) if arguments[-1] is Ellipsis else arguments
            return tuple(self.made(n, k, name) for n, k in zip(node.value, kinds, strict=True))
        value = self._plain(node)
        if origin is Literal:
            if value not in arguments:
                raise self.refuse(node, f"{name} is {value!r}; known: {', '.join(map(str, arguments))}")
            return value
        if origin is dict or kind is dict:
            if not isinstance(value, dict):
                raise self.refuse(node, f"{name} is no list of keys and values")
            lined = Lined(value)
            lined.lines = {key.value: _place(key) for key, _ in node.value}
            return lined
        if kind is Path:
            if not isinstance(value, str):
                raise self.refuse(node, f"{name} is {value!r} instead of a file's name")
            return (Path(node.start_mark.name).parent / value).resolve()
        return self._scalar(node, value, kind, name)

    def _scalar(self, node: yaml.Node, value: Any, kind: Any, name: str) -> Any:
        if kind is float and isinstance(value, str):  # YAML takes 1e-7 for text
            try:
                return float(value)
            except ValueError:
                pass
        fits = isinstance(value, int | float) if kind is float else isinstance(value, kind)
        if not fits or (isinstance(value, bool) and kind is not bool):
            raise self.refuse(node, f"{name} is {value!r} instead of {_ARTICLES[kind]}")
        return kind(value)

    def _dataclass(self, node: yaml.Node, kind: Any, name: str) -> Any:
        if not isinstance(node, yaml.MappingNode):
            raise self.refuse(node, f"{name} is no list of keys and values")
        hints = typing.get_type_hints(kind)
        values: dict[str, Any] = {}
        for key, value in node.value:
            if key.value not in hints:
                raise self.refuse(key, f"unknown key {key.value}; {suggestion(key.value, hints)}")
            if key.value in values:
                raise self.refuse(key, f"{key.value} is there twice")
            values[key.value] = self.made(value, hints[key.value], key.value)
        try:
            return kind(**values)
        except (TypeError, ValueError) as error:  # a key without default is missing, or values contradict each other
            missing = [
                f.name
                for f in dataclasses.fields(kind)
                if f.name not in values and f.default is f.default_factory is dataclasses.MISSING
            ]
            raise self.refuse(node, f"the key {missing[0]} is missing" if missing else str(error)) from None

    def _plain(self, node: yaml.Node) -> Any:
        """What YAML itself makes of the node."""
        return yaml.safe_load(yaml.serialize(node))


_ARTICLES = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
