"""Train Tintype's feature network from random numbers: python scripts/train_features.py PACKS... -o features.safetensors --steps 1800

It learns two things at once. To name the topic of a photograph: its source and, where that has many pictures of one, its
label. And to say what was done to its colours, which are spoiled on purpose in every other picture, since colours in
wrong places are what the features are to see. 600 pictures are held out; how many topics are named rightly is printed at
the end, as they are and in grey, and how many spoilings.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import swa_utils
from torch.utils.data import DataLoader

from tintype.nets.features import DIMENSION, SIDE, Features
from tintype.picture.atomic import replacing
from tintype.picture.color import CHROMA_TO_RGB, WEIGHTS
from tintype.train import allocator, devices, optimizers
from tintype.train.cache import Pack, pack_of
from tintype.train.config import Optimizer, Schedule
from tintype.train.crops import Crops, Cut, Rows, Whole, split

CROP, BATCH, HELD = 128, 48, 600
#: Share of a picture's square that a crop shows.
AREA = (0.3, 1.0)
ADAMW = Optimizer("adamw", learning_rate=2e-3, weight_decay=0.05)
WARM_UP, EMA, SMOOTHING = 100, 0.995, 0.1
#: Of `transferred`: points that colours are taken from.
POINTS = 200


class Named(nn.Module):
    """The feature network with two layers on top, for topics and spoilings; they are left behind when it has learned."""

    def __init__(self, topics: int) -> None:
        super().__init__()
        self.features = Features()
        self.topic, self.spoiling = nn.Linear(DIMENSION, topics), nn.Linear(DIMENSION, len(SPOILINGS) + 1)

    def forward(self, rgb: Tensor) -> tuple[Tensor, Tensor]:
        """RGB (N, 3, H, W) in [0, 1] -> logits of topics (N, topics) and of spoilings (N, S), 0 being none."""
        features = self.features(rgb.contiguous(memory_format=torch.channels_last))
        return self.topic(features), self.spoiling(features)


def transferred(luma: Tensor, chroma: Tensor, rng: np.random.Generator) -> Tensor:
    """Each pixel takes the colour of a point of another picture that is as bright, as in Welsh's colour transfer."""
    other = torch.roll(torch.arange(len(luma)), 1)
    points = torch.from_numpy(rng.integers(0, luma[0].numel(), POINTS))
    bright, order = luma[other].flatten(1)[:, points].sort(1)
    colours = chroma[other].flatten(2)[:, :, points].gather(2, order[:, None].expand(-1, 2, -1))
    at = torch.searchsorted(bright, luma.flatten(1)).clamp(max=POINTS - 1)
    return colours.gather(2, at[:, None].expand(-1, 2, -1)).reshape(chroma.shape)


def turned(luma: Tensor, chroma: Tensor, rng: np.random.Generator) -> Tensor:
    """All hues turned by 40 to 320 degrees."""
    angle = rng.uniform(0.22, 1.78) * np.pi
    turn = torch.tensor([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], dtype=torch.float32)
    return torch.einsum("ij,njhw->nihw", turn, chroma)


def blotchy(luma: Tensor, chroma: Tensor, rng: np.random.Generator) -> Tensor:
    """Blotches of some pixels' width."""
    noise = torch.from_numpy(rng.normal(0, 0.08, (len(chroma), 2, 14, 14)).astype(np.float32))
    return chroma + F.interpolate(noise, chroma.shape[2:], mode="bicubic")


def blurred(luma: Tensor, chroma: Tensor, rng: np.random.Generator) -> Tensor:
    """Colours that run."""
    return F.interpolate(F.avg_pool2d(chroma, 16), chroma.shape[2:], mode="bilinear")


def tinted(luma: Tensor, chroma: Tensor, rng: np.random.Generator) -> Tensor:
    """A cast, of any hue."""
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0.04, 0.12)
    return chroma + strength * torch.tensor([np.cos(angle), np.sin(angle)], dtype=torch.float32)[:, None, None]


#: What is done to chroma (N, 2, H, W) beside luma (N, H, W).
SPOILINGS: dict[str, Callable[[Tensor, Tensor, np.random.Generator], Tensor]] = {
    "grey": lambda luma, chroma, rng: 0 * chroma,
    "pale": lambda luma, chroma, rng: rng.uniform(0.2, 0.6) * chroma,
    "gaudy": lambda luma, chroma, rng: rng.uniform(1.6, 2.4) * chroma,
    "shifted": lambda luma, chroma, rng: chroma.roll(tuple(rng.integers(5, 14, 2).tolist()), (2, 3)),
    "tinted": tinted,
    "turned": turned,
    "blurred": blurred,
    "blotchy": blotchy,
    "transferred": transferred,
}


def spoiled(rgb: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """RGB (N, 3, H, W) uint8 -> the same in [0, 1], every other picture spoiled in its chroma alone, and how (N,): 0 is not at all."""
    colour = rgb.permute(0, 2, 3, 1).float() / 255
    luma = colour @ torch.tensor(WEIGHTS)
    chroma = torch.stack([(colour[..., 2] - luma) / 1.772, (colour[..., 0] - luma) / 1.402], 1)
    how = torch.from_numpy(np.where(rng.random(len(rgb)) < 0.5, 0, rng.integers(1, len(SPOILINGS) + 1, len(rgb))))
    for number, spoil in enumerate(SPOILINGS.values(), 1):
        rows = (how == number).nonzero().flatten()
        # Two at least, so that there is another picture to take colours from.
        if len(rows):
            pair = torch.cat([rows, (rows[:1] + 1) % len(rgb)])
            chroma[rows] = spoil(luma[pair], chroma[pair], rng)[: len(rows)]
    merged = luma[..., None] + chroma.permute(0, 2, 3, 1) @ torch.from_numpy(CHROMA_TO_RGB.T.copy())
    return merged.clamp(0, 1).permute(0, 3, 1, 2), how


def learn(pack: Pack, rows: Rows, steps: int, seed: int, device: str) -> Named:
    """The moving average of a network after so many steps of training on the pictures `rows`."""
    torch.manual_seed(seed)
    net = Named(pack.topics).to(device)
    for parameter in net.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    optimizer = optimizers.optimizer(net, ADAMW)
    schedule = optimizers.by_step(optimizer, Schedule("cosine", warm_up=min(WARM_UP, steps // 4)), steps)
    average: Any = swa_utils.AveragedModel(net, use_buffers=True)
    crops = Crops(pack, rows, Cut(CROP, AREA, stretch=0.2, seed=seed), 0, steps * BATCH)
    began, mean = time.perf_counter(), 0.0
    rng = np.random.default_rng([seed, 6])
    for step, batch in enumerate(DataLoader(crops, BATCH), 1):
        rgb, how = spoiled(batch["rgb"], rng)
        with torch.autocast(device, torch.bfloat16, enabled=devices.has_bfloat16(device)):
            topic, spoiling = net(rgb.to(device))
        loss = F.cross_entropy(topic.float(), batch["topic"].to(device), label_smoothing=SMOOTHING)
        loss = loss + F.cross_entropy(spoiling.float(), how.to(device), label_smoothing=SMOOTHING)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        make: Any = swa_utils.get_ema_multi_avg_fn
        average.multi_avg_fn = make(optimizers.grown(EMA, step))
        average.update_parameters(net)
        mean += (loss.item() - mean) / min(step, 50)
        if step % 50 == 0 or step in (1, steps):
            each = (time.perf_counter() - began) / step
            print(f"step {step} of {steps}: loss {mean:.3f}, {each:.2f} s a step", file=sys.stderr, flush=True)
    named: Named = average.module.eval()
    return named


@torch.inference_mode()
def told_rightly(net: Named, pack: Pack, rows: Rows, device: str, seed: int) -> dict[str, float]:
    """Of the pictures `rows`: the share whose topic is named rightly, as they are and in grey, and whose spoiling is."""
    right = np.zeros(3)
    rng = np.random.default_rng([seed, 7])
    for batch in DataLoader(Whole(pack, rows, SIDE), BATCH):
        plain, grey = batch["rgb"].float() / 255, batch["luma"].expand(-1, 3, -1, -1)
        rgb, how = spoiled(batch["rgb"], rng)
        for k, (seen, wanted, head) in enumerate(
            ((plain, batch["topic"], 0), (grey, batch["topic"], 0), (rgb, how, 1))
        ):
            right[k] += int((net(seen.to(device))[head].argmax(1).cpu() == wanted).sum())
    return dict(zip(("topics", "topics in grey", "spoilings"), right / len(rows), strict=True))


def stored(value: Tensor) -> Tensor:
    """A tensor as the file keeps it: large ones in half precision, which features don't show."""
    whole = value.cpu().contiguous()
    return whole.half() if whole.numel() >= 1024 else whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packs", nargs="+")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1800)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, help="decoded pictures go here [default: OUT.cache]")
    parser.add_argument("--workers", type=int, default=1, help="processes that decode")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or auto")
    args = parser.parse_args()
    device = devices.resolved(args.device)
    pack = pack_of(args.packs, args.cache or args.out.with_suffix(".cache"), SIDE, args.workers)
    rows, held = split(pack, 0.25, HELD, args.seed)
    print(f"{len(rows)} pictures, {len(held)} held out, topics: {pack.topics}", file=sys.stderr, flush=True)
    net = learn(pack, rows, args.steps, args.seed, device)
    told = {name: f"{share:.3f}" for name, share in told_rightly(net, pack, held, device, args.seed).items()}
    frequent = np.bincount(pack.topic[rows]).argmax()
    told["the most frequent topic's share"] = f"{np.mean(pack.topic[held] == frequent):.3f}"
    facts = {"pictures": str(len(rows)), "topics": str(pack.topics), "steps": str(args.steps), "seed": str(args.seed)}
    state = {name: stored(value) for name, value in net.features.state_dict().items()}
    with replacing(args.out, overwrite=True) as part:
        save_file(state, part, facts | told)
    print(f"{args.out}: {args.out.stat().st_size:,} bytes; {', '.join(f'{k} {v}' for k, v in told.items())}")


if __name__ == "__main__":
    allocator.with_allocator([sys.executable, *sys.argv])
    main()
