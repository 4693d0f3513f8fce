"""Other libraries' words are not ours."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_TALKATIVE = ("lightning", "lightning.pytorch", "lightning.fabric", "torch.onnx")


@contextmanager
def quiet() -> Iterator[None]:
    """Within, neither Lightning's and torch's tips nor any warning goes to the terminal; errors are raised as ever."""
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
