"""What several of these tests train: a network of thimble size, for a hundred steps."""

from __future__ import annotations

import pytest

THIMBLE = dict(
    net="tint", seed=3, classes=16, topics=False, widths=[8, 16, 16, 32, 32], depths=[1, 1, 1, 1], up_depths=[1, 1, 1], attention=[1, 0], queries=0, ema=0.9,
    class_weight=0.1, topic_weight=0.0, teacher_weight=0.0, vivid=0, vivid_weight=0.0, feature_weight=0.0, colour_weight=0.0, critic_weight=0.0, frozen=False,
    optimizer="adamw", weight_decay=0.01, hints=0.0, spoil=0.0, balance=0.0, learning_rate=0.003, phases=[dict(steps=100, size=32, batch=4, area=[0.5, 1.0])],
)  # fmt: skip


@pytest.fixture(scope="session")
def thimble():
    """The keys of its config, to be changed by copying."""
    return dict(THIMBLE)
