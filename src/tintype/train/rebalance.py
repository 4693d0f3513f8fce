"""How common each colour class is in photographs, so that a decode may lean against it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import torch
from torch.nn import functional as F

from tintype.errors import UsageError
from tintype.train import losses
from tintype.train.cache import some_of

#: Pictures that are counted, about.
PICTURES = 4000
#: Their short side, at most, and that of the cells whose mean chroma is counted, in pixels.
_SHORT, _CELL = 168, 4


def tilt(about: Mapping[str, str], names: Sequence[str], share: float) -> str:
    """The `tilt` of a network that says `about` of itself what methods.neural reads: for its K chroma classes a JSON list (K,), mean 0, to be added to
    logits, which divides each likelihood by its class's frequency to the power `share`.

    After the rebalancing of Zhang, Isola, Efros 2016, section 2.2. There it weighs the loss; here the network's probabilities stay honest,
    and only the decode leans. Frequencies are those in pictures from the places called `names`, as if each class had occurred once more.
    Raises UsageError for a `share` out of (0, 1], a network without chroma classes, and where no picture can be read.
    """
    if not 0 < share <= 1:
        raise UsageError(f"rebalance by a power of {share}; expected above 0, to 1")
    centres = torch.tensor(json.loads(about["centres"]))
    if about["space"] != "chroma" or not len(centres):
        raise UsageError(f"{about['system']} has no classes of chroma that could be rebalanced")
    lookup = losses.class_lookup(centres)
    counts = torch.zeros(len(centres), dtype=torch.int64)
    for rgb in some_of(names, PICTURES, _SHORT):
        planes = torch.tensor(rgb).permute(2, 0, 1)[None].float() / 255
        _, chroma = losses.split(F.avg_pool2d(planes, _CELL, ceil_mode=True))
        counts += losses.class_of(chroma, lookup).flatten().bincount(minlength=len(centres))
    if not counts.sum():
        raise UsageError(f"{', '.join(names)}: no picture there can be decoded")
    rarity = -(counts.double() + 1).log()
    return json.dumps([round(share * float(each), 4) for each in rarity - rarity.mean()])
