"""How a system learns from a batch: a Lightning module for one network, and one for a generator and its discriminator.

A batch is what train.crops gives: `luma` (N, 1, S, S) in [0, 1], `rgb` (N, 3, S, S) uint8, `topic` (N,),
and for networks that want one a `view` (N, K).
"""

from __future__ import annotations

import hashlib
from typing import Any, cast

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn

from tintype.errors import UsageError
from tintype.methods.ab_classes import ab_of
from tintype.nets.lab import AB_RANGE
from tintype.train import ab_classes, criteria, outputs
from tintype.train.cache import Pack
from tintype.train.config import Config
from tintype.train.crops import Rows
from tintype.train.optimizers import by_step, on_plateau, optimizer

Batch = dict[str, Tensor]

#: What is measured on held-out pictures.
_HELD = ("loss", "mse", "accuracy")
#: Pictures whose colours are counted for the classes' rarity.
_COUNTED = 2000


class Task(L.LightningModule):
    """One network, `net`, with the losses and penalties that `config` names.

    `steps`: how many the optimizer will take; whoever starts the run says so before.
    """

    steps = 1

    def __init__(self, config: Config, net: nn.Module, loss: str = "mse") -> None:
        super().__init__()
        self.config, self.net = config, net
        self.kind = outputs.kind_of(net)
        self.criterion = criteria.criterion(loss)
        self.latest = torch.zeros(())  # loss
        self.held = torch.zeros(())  # sums of _HELD over pictures, and their number
        self.plateau: torch.optim.lr_scheduler.ReduceLROnPlateau | None = None
        self._kept: dict[str, Any] | None = None  # the plateau's state, from a checkpoint

    def study(self, pack: Pack, rows: Rows) -> None:
        """Look at the pictures `rows` of a pack, which it will learn from, before it does."""

    # --- what kinds of tasks differ in ------------------------------------------------------------------------------

    def answer(self, batch: Batch) -> Tensor:
        """The network's output for a batch."""
        out: Tensor = self.net(batch["luma"], batch["view"]) if "view" in batch else self.net(batch["luma"])
        return out

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The loss of a batch without penalties, and the network's output."""
        answer = self.answer(batch)
        return self.regression(answer, batch), answer

    def regression(self, answer: Tensor, batch: Batch) -> Tensor:
        """The criterion between an answer and what it should have been; regressed ab as a share of its range."""
        return self.criterion(*self.compared(answer, batch))

    def compared(self, answer: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """An answer, and what it should have been; regressed ab within +-1, as the reports have it."""
        wanted = outputs.target(self.kind, batch["rgb"].float() / 255, (answer.shape[2], answer.shape[3]))
        unit = AB_RANGE if self.kind == "ab" else 1.0
        return answer.float() / unit, wanted / unit

    def picture(self, answer: Tensor, luma: Tensor) -> Tensor:
        """The colour picture (N, 3, S, S) in [0, 1] that an answer means: what is answered as RGB is shown as it is, all else beside the true luma."""
        answer = answer.float()
        return answer if self.kind == "rgb" else outputs.picture(outputs.chroma_of(self.kind, answer, luma), luma)

    def penalty(self) -> Tensor:
        """Of the weights' size, as the config asks."""
        config, total = self.config, torch.zeros((), device=self.device)
        if config.l1:
            total = total + config.l1 * criteria.l1_penalty(criteria.kernels(self.net))
        if config.l2:
            total = total + config.l2 * criteria.l2_penalty(criteria.kernels(self.net))
        return total

    # --- Lightning's hooks --------------------------------------------------------------------------------------------

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Dropout's draws depend on the seed, the place in the run and the process alone, so that a run that goes on makes the same ones."""
        place = f"{self.config.seed} {self.current_epoch} {batch_idx} {self.global_rank}"
        torch.manual_seed(int.from_bytes(hashlib.sha256(place.encode()).digest()[:8], "little") >> 1)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        loss, _ = self.loss(batch)
        self.latest = loss.detach()
        self.noted(batch, loss=loss)
        return loss + self.penalty()

    def on_validation_epoch_start(self) -> None:
        self.held = torch.zeros(len(_HELD) + 1, dtype=torch.float64, device=self.device)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        loss, answer = self.loss(batch)
        rgb, told = batch["rgb"].float() / 255, self.picture(answer, batch["luma"])
        right = (told.argmax(1) == rgb.argmax(1)).float().mean()
        means = torch.stack([loss, (told - rgb).square().mean(), right, loss.new_ones(())])
        self.held += means.double() * len(rgb)

    def on_validation_epoch_end(self) -> None:
        # Summed up by hand: Lightning rounds the mean of the processes' counts, which is wrong where they differ.
        *sums, count = cast(Tensor, self.trainer.strategy.reduce(self.held, reduce_op="sum"))
        means = {f"validation/{name}": (total / count).float() for name, total in zip(_HELD, sums, strict=True)}
        self.log_dict(means, sync_dist=True)

    def noted(self, batch: Batch, **values: Tensor) -> None:
        """Log values of training, their means over the epoch and all processes."""
        self.log_dict(
            {f"train/{k}": v.detach() for k, v in values.items()},
            on_step=False,
            on_epoch=True,
            sync_dist=True,
            batch_size=len(batch["luma"]),
        )

    def on_train_epoch_end(self) -> None:
        # Here, before the checkpoint is written: Lightning asks its own plateaus after it, so that a killed run would forget an epoch.
        if self.plateau:
            self.plateau.step(float(self.trainer.callback_metrics["validation/loss"]))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["system"] = self.config.system
        if self.plateau:
            checkpoint["plateau"] = self.plateau.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._kept = checkpoint.get("plateau")

    def configure_optimizers(self) -> Any:
        return self.made(self.net)

    def made(self, net: nn.Module) -> tuple[list[torch.optim.Optimizer], list[dict[str, Any]]]:
        """A network's optimizer, with its schedules."""
        found = optimizer(net, self.config.optimizer)
        if self.config.schedule.name == "plateau":
            self.plateau = on_plateau(found, self.config.schedule)
            if self._kept:
                self.plateau.load_state_dict(self._kept)
            return [found], []
        return [found], [{"scheduler": by_step(found, self.config.schedule, self.steps), "interval": "step"}]


class Classification(Task):
    """A network of colour classes. Rare ones count more, as `mix` says: see ab_classes.rebalance; 1: all alike."""

    def __init__(self, config: Config, net: nn.Module, loss: str, mix: float) -> None:
        super().__init__(config, net, loss)
        if not 0 < mix <= 1:
            raise ValueError(f"lambda is {mix}; expected more than 0, and up to 1")
        self.name, self.mix = loss, mix

    def study(self, pack: Pack, rows: Rows) -> None:
        """Count the colours of some of the pictures."""
        if self.mix < 1:
            some = np.random.default_rng([self.config.seed, 2]).permutation(rows)[:_COUNTED]
            shares = ab_classes.prior(ab_of(pack.picture(int(i))[::4, ::4] / 255.0) for i in some)
            weights = ab_classes.rebalance(ab_classes.smooth(shares), self.mix)
            self.criterion = criteria.criterion(self.name, torch.from_numpy(weights).float())


class Adversarial(Task):
    """A generator of ab, `net`, that is to deceive `discriminator`, which is shown luma and ab. `weight` is that of the absolute error."""

    def __init__(self, config: Config, net: nn.Module, discriminator: nn.Module, weight: float, label: float) -> None:
        super().__init__(config, net, "mae")
        if config.schedule.name == "plateau":
            raise UsageError(f"{config.system} has no one loss to wait for: choose another schedule than plateau")
        self.discriminator, self.weight, self.label = discriminator, weight, label
        self.automatic_optimization = False  # two optimizers take turns

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        generating, telling = cast(list[Any], self.optimizers())
        answer = self.answer(batch)
        proposed, true = self.compared(answer, batch)

        self.toggle_optimizer(telling)
        real = self.discriminator(batch["luma"], true * AB_RANGE)
        fake = self.discriminator(batch["luma"], answer.detach())
        told = criteria.discriminator_loss(real, fake, self.label)
        self.stepped(telling, told)
        self.untoggle_optimizer(telling)

        self.toggle_optimizer(generating)
        loss = criteria.generator_loss(self.discriminator(batch["luma"], answer), proposed, true, self.weight)
        self.stepped(generating, loss + self.penalty())
        self.untoggle_optimizer(generating)
        self.latest = (loss + told).detach()
        self.noted(batch, loss=loss, mae=criteria.mae(proposed, true), discriminator=told)

    def stepped(self, optimizer: Any, loss: Tensor) -> None:
        """One step of one of the two."""
        optimizer.zero_grad()
        self.manual_backward(loss)
        if self.config.clip:
            self.clip_gradients(optimizer, gradient_clip_val=self.config.clip, gradient_clip_algorithm="norm")
        optimizer.step()

    def on_train_batch_end(self, *arguments: Any) -> None:
        for plan in cast(list[Any], self.lr_schedulers()):
            plan.step()

    def configure_optimizers(self) -> Any:
        (first,), plans = self.made(self.net)
        (second,), more = self.made(self.discriminator)
        return [first, second], [*plans, *more]
