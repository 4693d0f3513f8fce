"""The systems that can be trained, by name: which network (or pair), and how it learns. See configs/ for their recipes.

A system is added by one file in nets/, one line here, one in cards.NETWORKS, and one config.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from tintype.cards import CARDS
from tintype.errors import UsageError, suggestion
from tintype.nets import public
from tintype.nets.autoencoder import Autoencoder
from tintype.nets.inception_resnet_v2 import InceptionResnetV2
from tintype.nets.koala import Koala, KoalaFusion
from tintype.nets.plain import Plain
from tintype.nets.residual import Residual
from tintype.nets.unet import PatchDiscriminator, UNet
from tintype.nets.vgg16 import BLOCKS, Vgg16Features
from tintype.nets.vgg_gan import VGGDiscriminator, VGGGenerator
from tintype.train import criteria
from tintype.train.config import Config, Lined
from tintype.train.outputs import kind_of
from tintype.train.task import Adversarial, Classification, Task
from tintype.train.views import SIDE, Seeing
from tintype.weights import named


@dataclass(frozen=True)
class System:
    """`network(**config.net)` makes the network; `task(config, network)` says how it learns.

    `backbone`: the weights that config.backbone may name, "vgg16" or "inception-resnet-v2". `views`: those are of a classifier whose
    view of each picture the network is given with it.
    """

    network: Callable[..., nn.Module]
    task: Callable[[Config, nn.Module], Task]
    backbone: str = ""
    views: bool = False


def _regression(config: Config, net: nn.Module) -> Task:
    """The loss `name`: mse (by default), mae, smooth_l1; of networks that put out RGB, bce, too."""
    (name,) = _options(config, {"name": "mse"})
    known = [loss for loss in criteria.CRITERIA if loss != "bce" or kind_of(net) == "rgb"]
    if name not in known:
        raise UsageError(f"{config.system} has no loss {name!r}; {suggestion(str(name), known)}")
    return Task(config, net, name)


def _colors(config: Config, net: nn.Module) -> Task:
    """Classes: the loss `name`, cross_entropy or kl, with rare colours weighted up as `lambda` says (0.5 as reported, 1 not at all). Or ab: as _regression."""
    if kind_of(net) == "ab":
        return _regression(config, net)
    name, mix = _options(config, {"name": "cross_entropy", "lambda": 0.5})
    if name not in criteria.CLASS_CRITERIA:
        raise UsageError(f"{config.system} has no loss {name!r}; {suggestion(str(name), criteria.CLASS_CRITERIA)}")
    return Classification(config, net, name, mix)


def _adversaries(config: Config, net: nn.Module) -> Task:
    """The error's `weight` beside the adversarial loss, the smoothed `label` of real pictures, the discriminator's `width`."""
    weight, label, width = _options(config, {"weight": criteria.L1_WEIGHT, "label": criteria.REAL_LABEL, "width": 1.0})
    if kind_of(net) != "ab":
        raise UsageError(f"{config.system}'s discriminator is shown ab: leave the network's output as it is")
    return Adversarial(config, net, PatchDiscriminator(width=width), weight, label)


def _vgg_adversaries(config: Config, net: nn.Module) -> Task:
    """As _adversaries; the discriminator sees pictures of one size."""
    weight, label, width = _options(config, {"weight": criteria.L1_WEIGHT, "label": criteria.REAL_LABEL, "width": 1.0})
    judge = VGGDiscriminator(
        _vgg(5, config.backbone), size=config.phases[0].size, width=width, trained=not config.backbone
    )
    return Adversarial(config, net, judge, weight, label)


def _vgg_generator(
    config: Config,
    loaded: bool,
    blocks: int = 3,
    edges: bool = False,
    width: float = 1.0,
    widths: tuple[int, ...] = (256, 512, 512),
) -> nn.Module:
    """R8's generator on the first `blocks` blocks of VGG16; the rest as VGGGenerator."""
    features = _vgg(blocks, config.backbone if loaded else "")
    return VGGGenerator(features, BLOCKS[blocks - 1][0], 2**blocks, edges, widths, width, trained=not config.backbone)


def _vgg(blocks: int, weights: str) -> Vgg16Features:
    features = Vgg16Features(blocks)
    if weights:
        features.load_blocks(public.read(named(weights)))
    return features


def _fusion(config: Config, width: float = 1.0, seen: int = SIDE) -> nn.Module:
    """R6's network; with its classifier in it where no weights for that are named, so that it learns, too: on pictures of `seen` pixels' side."""
    if config.backbone and seen != SIDE:
        raise ValueError(f"seen is {seen}, but the named backbone sees {SIDE} pixels")
    net = KoalaFusion(width=width)
    return net if config.backbone else Seeing(net, InceptionResnetV2(), seen)


def _options(config: Config, known: dict[str, Any]) -> list[Any]:
    """The values of the config's `loss`, with these defaults. Raises UsageError for others."""
    _check("loss", config.loss, known)
    return [config.loss.get(k, v) for k, v in known.items()]


#: What each is, and whose, stands in cards.NETWORKS.
SYSTEMS: dict[str, System] = {
    "autoencoder": System(Autoencoder, _regression),  # R1
    "plain": System(Plain, _colors),  # R2
    "residual": System(Residual, _colors),  # R3
    "koala": System(Koala, _regression),  # R5
    "koala-fusion": System(_fusion, _regression, "inception-resnet-v2", views=True),  # R6
    "unet": System(UNet, _regression),  # R7's generator by itself
    "unet-gan": System(UNet, _adversaries),  # R7
    "vgg-gan": System(_vgg_generator, _vgg_adversaries, "vgg16"),  # R8
    "resnet-gan": System(_fusion, _adversaries, "inception-resnet-v2", views=True),  # R9
}


def system(name: str) -> System:
    """The system of that name. Raises UsageError, which lists the known ones."""
    if name not in SYSTEMS:
        raise UsageError(f"there is no system {name!r}; {suggestion(name, SYSTEMS)}")
    return SYSTEMS[name]


def network(config: Config, loaded: bool = True) -> nn.Module:
    """The config's network, its weights by the config's seed; not `loaded`: without looking for its backbone's weights, as others will be put in.

    Raises UsageError for arguments that it does not know or can't take, and for crops whose size it can't take.
    """
    found = system(config.system)
    if config.backbone and not found.backbone:
        raise UsageError(f"backbone: {config.system} has none")
    if config.backbone in CARDS and config.backbone != found.backbone:
        raise UsageError(f"backbone: {config.system} takes {found.backbone}, not {config.backbone}")
    known = dict(inspect.signature(found.network).parameters)
    own = {key: value for key, value in {"config": config, "loaded": loaded}.items() if known.pop(key, None)}
    _check("net", config.net, known)
    torch.manual_seed(config.seed)
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in config.net.items()}
    try:
        net = found.network(**own, **values)
    except (TypeError, ValueError, RuntimeError, KeyError) as error:
        raise UsageError(f"{config.system}: {error}") from None
    _check_sizes(config, net)
    return net


def task(config: Config) -> Task:
    """The config's network and how it learns. Raises UsageError as `network` does, and for a loss that it does not know or can't take."""
    net = network(config)
    try:
        made = system(config.system).task(config, net)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(f"{config.system}: {error}") from None
    if isinstance(made, Adversarial):
        _check_sizes(config, made.discriminator)
    return made


def _check_sizes(config: Config, net: nn.Module) -> None:
    multiple, one = int(str(net.multiple)), bool(getattr(net, "fixed", False))
    for phase in config.phases:
        if phase.size % multiple or (one and phase.size != multiple):
            expected = f"{multiple}" if one else f"a multiple of {multiple}"
            raise UsageError(f"{config.system} can't learn from crops of {phase.size} pixels; expected {expected}")


def _check(what: str, given: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for key in given:
        if key not in known:
            where = f"{given.lines[key]}: " if isinstance(given, Lined) else ""
            raise UsageError(f"{where}{what}: unknown key {key}; {suggestion(key, known)}")
