"""scripts/: what trains the feature network of evaluations, for a few steps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from skimage import data

from tintype.nets.features import load

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "train_features.py"


def test_a_feature_network_is_trained(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for kind, name in (("cats", "chelsea"), ("cups", "coffee")):
        (tmp_path / kind).mkdir()
        rgb = getattr(data, name)()
        for k in range(35):
            y, x = (int(rng.integers(0, n - 90)) for n in rgb.shape[:2])
            Image.fromarray(rgb[y : y + 90, x : x + 90]).save(tmp_path / kind / f"{k}.png")
    out = tmp_path / "features.safetensors"
    command = [sys.executable, str(SCRIPT), str(tmp_path), "-o", str(out), "--steps", "3"]
    runs = []
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0 and "spoilings" in done.stdout, done.stderr
        runs.append(load_file(out))
    assert all(torch.equal(value, runs[1][name]) for name, value in runs[0].items()), "the same seed, the same weights"
    with torch.inference_mode():
        features = load(out)(torch.rand(2, 3, 64, 64))
    assert torch.isfinite(features).all() and features.std() > 0
