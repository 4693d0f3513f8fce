"""Checkpoints: written whole or not at all, and read without trusting them."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from tintype.errors import SaveError, UsageError


def write(state: Mapping[str, Any], path: Path) -> None:
    """Put `state` into the file `path`. Raises SaveError where that fails, as on a full disk; what was at `path` is still there then.

    A reader never sees half a file: it is written under another name, always the same one, so that runs that are killed
    meanwhile don't fill the disk.
    """
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            torch.save(dict(state), file)
        part.replace(path)
    except (OSError, RuntimeError) as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise SaveError(path, f"can't be written: {_reason(error)}") from None


def read(path: Path, keys: Iterable[str]) -> dict[str, Any]:
    """What `write` wrote. Raises UsageError for a file that is damaged, holds more than numbers and texts, or lacks one of `keys`.

    A checkpoint is a pickle, which is a program: anything in it that would run is refused.
    """
    remedy = "delete it to begin anew, or choose another folder"
    if not path.is_file():
        raise UsageError(f"{path}: there is no such checkpoint (yet)")
    try:
        state: dict[str, Any] = torch.load(path, "cpu", weights_only=True)
        missing = [key for key in keys if key not in state]
    except pickle.UnpicklingError:  # torch's text says how to run it all the same
        raise UsageError(f"{path}: is damaged, or holds a program instead of numbers; {remedy}") from None
    except Exception as error:  # whatever a damaged file makes of the reader
        raise UsageError(f"{path}: is damaged or no checkpoint ({first_line(error)}); {remedy}") from None
    if missing:
        raise UsageError(f"{path}: is no checkpoint of Tintype: it lacks {', '.join(missing)}; {remedy}")
    return state


def first_line(error: BaseException) -> str:
    """An error's text up to its first line break, or its kind where it has no text."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _reason(error: BaseException) -> str:
    """The operating system's, which torch's writer follows with a RuntimeError of its own."""
    at: BaseException | None = error
    while at is not None and not isinstance(at, OSError):
        at = at.__context__
    return (at.strerror if at else None) or first_line(error)


class WholeFiles(TorchCheckpointIO):
    """Lightning's checkpoints by `write`. Its own way copies them from another folder, which a full disk cuts short."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        write(checkpoint, Path(path))
