"""The systems that can be trained, by name: which network (or pair), and how it learns. See configs/ for their recipes.

A system is added by one file in nets/, one line here, and one config.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tintype.cards import CARDS
from tintype.errors import UsageError
from tintype.methods.ab_classes import ab_of
from tintype.nets import public
from tintype.nets.autoencoder import Autoencoder
from tintype.nets.inception_resnet_v2 import InceptionResnetV2
from tintype.nets.koala import Koala, KoalaFusion
from tintype.nets.plain import Plain
from tintype.nets.residual import Residual
from tintype.nets.unet import PatchDiscriminator, UNet
from tintype.nets.vgg16 import BLOCKS, Vgg16Features
from tintype.nets.vgg_gan import VGGDiscriminator, VGGGenerator
from tintype.train import ab_classes, criteria
from tintype.train.cache import Pack
from tintype.train.config import Config
from tintype.train.crops import Rows
from tintype.train.outputs import kind_of
from tintype.train.task import Adversarial, Task
from tintype.train.views import Seeing
from tintype.weights import named

#: Pictures whose colours are counted for the classes' rarity.
_COUNTED = 2000


@dataclass(frozen=True)
class System:
    """`network(**config.net)` makes the network; `task(config, network, pack, rows)` says how it learns from the pictures `rows` of a pack.

    `backbone`: the weights that config.backbone may name, "vgg16" or "inception-resnet-v2".
    """

    network: Callable[..., nn.Module]
    task: Callable[[Config, nn.Module, Pack, Rows], Task]
    backbone: str = ""


def _regression(config: Config, net: nn.Module, pack: Pack, rows: Rows) -> Task:
    """The loss `name`: mse (by default), mae, smooth_l1, bce."""
    (name,) = _options(config, {"name": "mse"})
    return Task(config, net, name)


def _colors(config: Config, net: nn.Module, pack: Pack, rows: Rows) -> Task:
    """Classes: the loss `name`, cross_entropy or kl, with rare colours weighted up by `balance` (0 not, 0.5 as reported). Or ab: as _regression."""
    if kind_of(net) == "ab":
        return _regression(config, net, pack, rows)
    name, balance = _options(config, {"name": "cross_entropy", "balance": 0.5})
    weights = _rarity(pack, rows, config.seed, 1 - balance) if balance else None
    return Task(config, net, name, weights)


def _rarity(pack: Pack, rows: Rows, seed: int, mix: float) -> Tensor:
    """How much each colour class counts (313,), by its share in some of the pictures."""
    some = np.random.default_rng([seed, 2]).permutation(rows)[:_COUNTED]
    shares = ab_classes.prior(ab_of(pack.picture(int(i))[::4, ::4] / 255.0) for i in some)
    return torch.from_numpy(ab_classes.rebalance(ab_classes.smooth(shares), mix)).float()


def _adversaries(config: Config, net: nn.Module, pack: Pack, rows: Rows) -> Task:
    """The error's `weight` beside the adversarial loss, the smoothed `label` of real pictures, the discriminator's `width`."""
    weight, label, width = _options(config, {"weight": criteria.L1_WEIGHT, "label": criteria.REAL_LABEL, "width": 1.0})
    return Adversarial(config, net, PatchDiscriminator(width=width), weight, label)


def _vgg_adversaries(config: Config, net: nn.Module, pack: Pack, rows: Rows) -> Task:
    """As _adversaries; the discriminator sees pictures of the first phase's size."""
    weight, label, width = _options(config, {"weight": criteria.L1_WEIGHT, "label": criteria.REAL_LABEL, "width": 1.0})
    judge = VGGDiscriminator(
        _vgg(5, config.backbone), size=config.phases[0].size, width=width, trained=not config.backbone
    )
    return Adversarial(config, net, judge, weight, label)


def _vgg_generator(
    config: Config, blocks: int = 3, edges: bool = False, width: float = 1.0, widths: tuple[int, ...] = (256, 512, 512)
) -> nn.Module:
    """R8's generator on the first `blocks` blocks of VGG16; the rest as VGGGenerator."""
    channels = BLOCKS[blocks - 1][0]
    return VGGGenerator(
        _vgg(blocks, config.backbone), channels, 2**blocks, edges, widths, width, trained=not config.backbone
    )


def _vgg(blocks: int, weights: str) -> Vgg16Features:
    features = Vgg16Features(blocks)
    if weights:
        features.load_blocks(public.read(named(weights)))
    return features


def _fusion(config: Config, width: float = 1.0) -> nn.Module:
    """R6's network; with its classifier in it where no weights for that are named, so that it learns, too."""
    net = KoalaFusion(width=width)
    return net if config.backbone else Seeing(net, InceptionResnetV2())


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
    "koala-fusion": System(_fusion, _regression, "inception-resnet-v2"),  # R6
    "unet": System(UNet, _regression),  # R7's generator by itself
    "unet-gan": System(UNet, _adversaries),  # R7
    "vgg-gan": System(_vgg_generator, _vgg_adversaries, "vgg16"),  # R8
    "resnet-gan": System(_fusion, _adversaries, "inception-resnet-v2"),  # R9
}


def system(name: str) -> System:
    """The system of that name. Raises UsageError, which lists the known ones."""
    if name not in SYSTEMS:
        near = difflib.get_close_matches(name, SYSTEMS, 1)
        raise UsageError(
            f"there is no system {name!r}"
            + (f"; did you mean {near[0]}?" if near else "")
            + f" known: {', '.join(SYSTEMS)}"
        )
    return SYSTEMS[name]


def network(config: Config) -> nn.Module:
    """The config's network, its weights by the config's seed. Raises UsageError for arguments that it does not know or can't take."""
    found = system(config.system)
    if config.backbone and not found.backbone:
        raise UsageError(f"backbone: {config.system} has none")
    if config.backbone in CARDS and config.backbone != found.backbone:
        raise UsageError(f"backbone: {config.system} takes {found.backbone}, not {config.backbone}")
    known = dict(inspect.signature(found.network).parameters)
    own = {"config": config} if known.pop("config", None) else {}
    _check("net", config.net, known)
    torch.manual_seed(config.seed)
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in config.net.items()}
    try:
        return found.network(**own, **values)
    except (TypeError, ValueError, RuntimeError, KeyError) as error:
        raise UsageError(f"{config.system}: {error}") from None


def _check(what: str, given: dict[str, Any], known: dict[str, Any]) -> None:
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            raise UsageError(
                f"{what}: unknown key {key}; " + (f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}")
            )
