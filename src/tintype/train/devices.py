"""What to compute on."""

from __future__ import annotations

import torch

from tintype.errors import ModelError


def has_bfloat16(device: str) -> bool:
    """Whether `device` computes in bfloat16 itself; a processor that only imitates it is four times slower than in float32."""
    return device != "cpu" or torch.cpu._is_avx512_bf16_supported()


def resolved(device: str, count: int = 1) -> str:
    """`device` itself, "cpu" or "cuda"; for "auto", the better one of those that are here. Raises ModelError where `count` of it aren't."""
    there = torch.cuda.device_count()
    if device == "auto":
        device = "cuda" if there else "cpu"
    if device == "cuda" and count > there:
        raise ModelError(
            f"{count} cuda devices were asked for, and torch sees {there} here; choose another --device or fewer"
        )
    return device
