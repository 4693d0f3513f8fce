"""What `tint` is trained to make small: what one batch costs, term by term."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tintype.nets.tint import CHROMA_SCALE, Tint
from tintype.train import losses
from tintype.train.critic import Critic, fooled, mistaken
from tintype.train.devices import has_bfloat16
from tintype.train.hinting import hints_of
from tintype.train.lesson import Lesson, apart, wholly_apart
from tintype.train.recipe import Config

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Shown:
    """A picture as a critic is shown it: luma and chroma at the output's size, and what the teacher sees in it at full size."""

    luma: Tensor  #: (N, 1, h, w) in [0, 1]
    chroma: Tensor  #: (N, 2, h, w) in [-0.5, 0.5]
    seen: list[Tensor]  #: (N, C_i, h_i, w_i), the deepest last; empty where there is no teacher

    def detached(self) -> Shown:
        """The same, through which nobody learns but the critic."""
        return Shown(self.luma, self.chroma.detach(), [m.detach() for m in self.seen])


@dataclass(frozen=True)
class Cost:
    """What a batch costs: the `total` and its parts by name; and, where there is a vivid head, the true picture and the made one, for a critic."""

    total: Tensor
    parts: dict[str, float]
    shown: tuple[Shown, Shown] | None


@dataclass(frozen=True)
class Objective:
    """The terms that the config gives a weight, for a network and those that help in its training. `lookup`: losses.class_lookup's table."""

    config: Config
    net: Tint
    lesson: Lesson | None
    tutor: nn.Module | None  #: see lesson.load_tutor
    critic: Critic | None
    lookup: Tensor
    device: str

    def cost(self, batch: Batch, step: int) -> Cost:
        """What one batch costs at a step.

        The class loss looks at every other row and column of the output only, shifted from step to step: a quarter of the
        cost, and the same gradient on average.
        """
        config, net = self.config, self.net
        luma, bytes_, topic = (batch[k].to(self.device, non_blocking=True) for k in ("luma", "rgb", "topic"))
        rgb = bytes_.float() / 255
        full = losses.split(rgb)
        small, chroma = losses.split(F.avg_pool2d(rgb, Tint.stride))
        draw = np.random.default_rng([config.seed, 2, step])
        hints = hints_of(full[1], config.hints, draw) if net.hinted else None
        dy, dx = step % 2, step // 2 % 2
        terms: dict[str, tuple[float, Tensor]] = {}
        with torch.autocast(self.device, torch.bfloat16, enabled=has_bfloat16(self.device)):
            with torch.set_grad_enabled(not config.frozen):
                maps, deepest = net.trunk(luma.contiguous(memory_format=torch.channels_last), hints)
                features = maps[-1]
                mean = net.mean_head(features).float()
            terms["mean"] = 1.0, losses.mean_loss(mean * CHROMA_SCALE, chroma, small)
            if self.tutor is not None:
                with torch.no_grad():  # who sees the picture as it was
                    told = self.tutor(full[0]).float()
                terms["tutor"] = config.tutor_weight, losses.mean_loss(mean * CHROMA_SCALE, told, small)
            if config.class_weight:
                logits = net.some_logits(features, dy, dx)
                target = losses.class_of(chroma[:, :, dy::2, dx::2], self.lookup)
                terms["classes"] = config.class_weight, F.cross_entropy(logits.float(), target)
            if net.topic_head is not None:
                topics = net.topic_head(deepest.mean((2, 3)))
                terms["topics"] = config.topic_weight, F.cross_entropy(topics.float(), topic, label_smoothing=0.1)
            if self.lesson is not None and config.teacher_weight:
                terms["teacher"] = config.teacher_weight, self.lesson(deepest, self.lesson.seen(rgb))
            shown = None
            if net.vivid_head is not None:
                vivid = net.vivid_head([m.detach() for m in maps], mean.detach()).float() * CHROMA_SCALE
                seen, made = list[Tensor](), list[Tensor]()
                if self.lesson is not None:
                    power = torch.tensor(draw.uniform(config.lighten, 1.0, len(rgb)), dtype=torch.float32)
                    # The original's colours are compared as coarse as the output's are.
                    true, own = (losses.lightened(losses.coloured(full[0], c), power.to(rgb)) for c in (chroma, vivid))
                    seen, made = self.lesson.seen(true), self.lesson.look(own)
                shown = Shown(small, chroma, seen), Shown(small, vivid, made)
                terms |= self._vivid(*shown)
        total = torch.stack([weight * term for weight, term in terms.values()]).sum()
        parts = {name: float(term.detach()) for name, (_, term) in terms.items()}
        return Cost(total, parts, shown)

    def _vivid(self, true: Shown, made: Shown) -> dict[str, tuple[float, Tensor]]:
        """The vivid head's terms: near enough to the truth, as colourful, and like a photograph to a teacher and to a critic."""
        config = self.config
        terms = {
            "vivid": (config.vivid_weight, losses.mean_loss(made.chroma, true.chroma, true.luma)),
            "colour": (config.colour_weight, losses.colour_gap(made.chroma, true.chroma)),
        }
        if config.feature_weight:
            terms["features"] = config.feature_weight, apart(made.seen, true.seen)
        if config.whole_weight:
            terms["whole"] = config.whole_weight, wholly_apart(made.seen[-1], true.seen[-1])
        if self.critic is not None:
            self.critic.requires_grad_(False)  # it learns from its own cost
            terms["fooled"] = config.critic_weight, fooled(self._verdicts(made))
            self.critic.requires_grad_(True)
        return terms

    def critic_cost(self, cost: Cost) -> Tensor:
        """What the critic is to make small."""
        assert cost.shown is not None
        true, made = cost.shown
        with torch.autocast(self.device, torch.bfloat16, enabled=has_bfloat16(self.device)):
            return mistaken(self._verdicts(true), self._verdicts(made.detached()))

    def _verdicts(self, shown: Shown) -> list[Tensor]:
        """The critic's, see Critic.forward."""
        assert self.critic is not None
        verdicts: list[Tensor] = self.critic(shown.luma, shown.chroma, shown.seen)
        return verdicts
