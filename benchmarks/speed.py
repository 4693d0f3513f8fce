"""How fast, and in how much memory: python benchmarks/speed.py [--method tint] [--only big,cold,folder,recipe,huge]

Whole processes, timed from outside, each against a reference in the same run: ratios travel between machines, seconds
don't. Needs the dev extra (scikit-image) and 3 GB of disk for `huge`.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

import numpy as np
from PIL import Image

RUNS = 5

PILLOW = """
import sys; from PIL import Image
Image.open(sys.argv[1]).convert("RGB").save(sys.argv[2], quality=90)
"""

# The usual recipe of this field: Lab at full size, a network at 256 x 256, Lab back, clip, save.
RECIPE = """
import sys, numpy as np, onnxruntime as ort
from PIL import Image
from skimage.color import lab2rgb, rgb2lab
from skimage.transform import resize
from tintype.cards import CARDS
from tintype.weights import verified
net = ort.InferenceSession(verified(CARDS["tint"]))
rgb = np.asarray(Image.open(sys.argv[1]).convert("RGB"))
lab = rgb2lab(rgb)
grey = resize(lab[..., 0], (256, 256)).astype(np.float32) / 100
chroma = net.run(["mean"], {"luma": grey[None, None]})[0][0].transpose(1, 2, 0)
ab = resize(chroma, lab.shape[:2]) * 200
out = np.clip(lab2rgb(np.concatenate([lab[..., :1], ab], -1)), 0, 1)
Image.fromarray((out * 255).astype(np.uint8)).save(sys.argv[2], **({"quality": 90} if sys.argv[2].endswith("jpg") else {}))
"""

# Everything but start-up, imports and the network, whose own time is taken off.
WITHOUT_NETWORK = """
import statistics, sys, time
from pathlib import Path
from tintype.colorizer import Colorizer
from tintype.picture.files import open_picture
colorizer, times, spent = Colorizer(sys.argv[3]), [], 0.0
ask = colorizer.method.chroma
def chroma(*arguments):
    global spent
    began = time.perf_counter()
    answer = ask(*arguments)
    spent = time.perf_counter() - began
    return answer
colorizer.method.chroma = chroma
for _ in range(8):
    began = time.perf_counter()
    colorizer.colorize(open_picture(Path(sys.argv[1]))).save(sys.argv[2], overwrite=True)
    times.append(time.perf_counter() - began - spent)
print(statistics.median(times[1:]), spent)
"""

PILLOW_WITHIN = """
import statistics, sys, time; from PIL import Image
times = []
for _ in range(8):
    began = time.perf_counter()
    Image.open(sys.argv[1]).convert("RGB").save(sys.argv[2], quality=90)
    times.append(time.perf_counter() - began)
print(statistics.median(times[1:]))
"""


def photograph(height: int, width: int, seed: int = 0) -> Image.Image:
    """A grey photograph of that size: scikit-image's astronaut enlarged, with grain, as a scan has it."""
    from skimage import data

    grey = Image.fromarray(data.astronaut()).convert("L").resize((width, height), Image.Resampling.BICUBIC)
    grain = np.random.default_rng(seed).normal(0, 4, (height, width)).astype(np.float32)
    return Image.fromarray(np.clip(np.asarray(grey) + grain, 0, 255).astype(np.uint8))


# A process starts as a copy of the one that starts it, which would count as its memory: so a small one stands between.
LAUNCHER = """
import os, sys, time
began = time.perf_counter()
process = os.spawnvp(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(process, 0)
print(time.perf_counter() - began, usage.ru_maxrss / 1024, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def run(*command: str | Path) -> tuple[float, float, str]:
    """Seconds, peak resident megabytes (of the largest process) and stdout of a command. Raises where it fails."""
    done = subprocess.run([sys.executable, "-S", "-c", LAUNCHER, *map(str, command)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"failed: {' '.join(map(str, command))}: {done.stderr}")
    took, memory = done.stderr.splitlines()[-1].split()
    return float(took), float(memory), done.stdout


def timed(*command: str | Path, runs: int = RUNS) -> tuple[float, float, str]:
    """The medians of `runs` runs after one warm-up."""
    run(*command)
    results = [run(*command) for _ in range(runs)]
    return statistics.median(r[0] for r in results), max(r[1] for r in results), results[-1][2]


def colorize(method: str, *arguments: str | Path) -> list[str | Path]:
    return [sys.executable, "-m", "tintype", "colorize", *arguments, "--method", method, "--overwrite", "--quiet"]


def big(folder: Path, method: str) -> None:
    """A 24-megapixel grey JPEG to a colour JPEG."""
    source, result = folder / "big.jpg", folder / "big-color.jpg"
    photograph(4000, 6000).save(source, quality=90)
    pillow, pillow_memory, _ = timed(sys.executable, "-c", PILLOW, source, folder / "pillow.jpg")
    ours, memory, _ = timed(*colorize(method, source, "-o", result))
    within, network = map(float, run(sys.executable, "-c", WITHOUT_NETWORK, source, result, method)[2].split())
    pillow_within = float(run(sys.executable, "-c", PILLOW_WITHIN, source, folder / "pillow.jpg")[2])
    print("\n| 24-megapixel JPEG | seconds | ratio | peak memory, MB |\n|---|---|---|---|")
    print(f"| Pillow: open, save as RGB, quality 90 (whole process) | {pillow:.2f} | 1 | {pillow_memory:.0f} |")
    print(f"| tintype colorize (whole process) | {ours:.2f} | {ours / pillow:.2f} | {memory:.0f} |")
    print(f"| Pillow, without start-up | {pillow_within:.2f} | 1 | |")
    print(f"| the network alone | {network:.3f} | {network / pillow_within:.2f} | |")
    print(f"| tintype, without start-up and network | {within:.2f} | {within / pillow_within:.2f} | |")


def cold(folder: Path, method: str) -> None:
    """One 1-megapixel JPEG from a cold start."""
    source = folder / "small.jpg"
    photograph(860, 1163).save(source, quality=90)
    nothing, _, _ = timed(sys.executable, "-c", "pass")
    ours, memory, _ = timed(*colorize(method, source, "-o", folder / "small-color.jpg"))
    helped, _, _ = timed(sys.executable, "-m", "tintype", "--help")
    print("\n| one 1-megapixel JPEG | seconds | ratio | peak memory, MB |\n|---|---|---|---|")
    print(f"| python -c pass | {nothing:.3f} | 1 | |")
    print(f"| tintype --help | {helped:.3f} | {helped / nothing:.1f} | |")
    print(f"| tintype colorize | {ours:.2f} | {ours / nothing:.1f} | {memory:.0f} |")


def folder_of_200(folder: Path, method: str) -> None:
    """A folder of 200 one-megapixel JPEGs."""
    source = folder / "many"
    source.mkdir()
    for i in range(200):
        photograph(860, 1163, seed=i).save(source / f"{i:03}.jpg", quality=90)
    print("\n| folder of 1-megapixel JPEGs | seconds a picture | peak memory of a process, MB |\n|---|---|---|")
    for count in (50, 200):
        took, memory, _ = run(*colorize(method, *sorted(source.glob("*.jpg"))[:count], "-o", folder / "many-color"))
        print(f"| {count} | {took / count:.3f} | {memory:.0f} |")


def recipe(folder: Path, method: str) -> None:
    """Against the usual recipe, on a 6-megapixel photograph, saved as PNG so that grey can be compared bit by bit."""
    source = folder / "six.png"
    photograph(2000, 3000).save(source)
    grey = np.asarray(Image.open(source))
    print(
        "\n| 6-megapixel PNG | seconds | ratio | peak memory, MB | pixels whose grey is exact |\n|---|---|---|---|---|"
    )
    base = 0.0
    for name, command in {
        "the usual recipe": [sys.executable, "-c", RECIPE, source, folder / "recipe.png"],
        "tintype": colorize(method, source, "-o", folder / "ours.png"),
    }.items():
        took, memory, _ = timed(*command, runs=3)
        base = base or took
        result = folder / ("recipe.png" if "recipe" in name else "ours.png")
        exact = np.mean(np.asarray(Image.open(result).convert("L")) == grey)
        print(f"| {name} | {took:.2f} | {took / base:.2f} | {memory:.0f} | {100 * exact:.2f} % |")


def huge(folder: Path, method: str) -> None:
    """A 600-megapixel strip TIFF, streamed."""
    import tifffile

    source = folder / "huge.tif"
    tile = np.asarray(photograph(1000, 30000))
    with tifffile.TiffWriter(source) as file:
        strips = (tile[i % 1000 : i % 1000 + 20] for i in range(0, 20000, 20))
        file.write(strips, shape=(20000, 30000), dtype=np.uint8, rowsperstrip=20, photometric="minisblack")
    took, memory, _ = run(*colorize(method, source, "-o", folder / "huge-color.tif"))
    with tifffile.TiffFile(folder / "huge-color.tif") as file:
        shape = file.pages[0].shape
    print("\n| 600-megapixel strip TIFF | seconds | peak memory, MB | result |\n|---|---|---|---|")
    print(f"| tintype colorize | {took:.0f} | {memory:.0f} | {shape} |")


def main() -> None:
    parts = {"big": big, "cold": cold, "folder": folder_of_200, "recipe": recipe, "huge": huge}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", default="tint")
    parser.add_argument("--only", default=",".join(parts))
    args = parser.parse_args()
    print(f"{date.today()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores, method {args.method}")
    for name in args.only.split(","):
        with tempfile.TemporaryDirectory() as folder:
            parts[name](Path(folder), args.method)


if __name__ == "__main__":
    main()
