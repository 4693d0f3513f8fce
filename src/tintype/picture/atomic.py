"""Whole files or none: a result is written under a temporary name beside its destination and renamed when it is complete."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tintype.errors import SaveError, refusal


@contextmanager
def replacing(path: Path, overwrite: bool, source: Path | None = None) -> Iterator[Path]:
    """A temporary file (it exists, empty) in the folder of `path`, renamed to `path` when the block ends without an exception.

    Missing folders are created. Nothing is left behind where the block raises, Ctrl-C included. Raises SaveError where
    `path` exists and `overwrite` is false, is the file `source` itself, is a folder, or can't be written (OSError).
    """
    _check(path, overwrite, source)
    mode = _mode_for(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem[:40]}-", suffix=f".part{path.suffix}", dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise _save_error(path, error) from error
    part = Path(name)
    try:
        yield part
        part.chmod(mode)
        # Another process may have made the file meanwhile: a link is the one way to refuse that without a race.
        if overwrite:
            os.replace(part, path)
        else:
            _rename_new(part, path)
    except OSError as error:
        raise _save_error(path, error) from error
    finally:
        part.unlink(missing_ok=True)


def _check(path: Path, overwrite: bool, source: Path | None) -> None:
    """Refuse a destination that is a folder, the source, or there already."""
    try:
        if path.is_dir():
            raise SaveError(path, "is a folder", "name a file")
        if source is not None and path.exists() and source.exists() and os.path.samefile(path, source):
            raise SaveError(path, "is the picture that is being read", "choose another name")
        if not overwrite and os.path.lexists(path):
            raise SaveError(path, "exists already", "--overwrite replaces it")
    except OSError as error:
        raise _save_error(path, error) from error


def _mode_for(path: Path) -> int:
    """Permissions of the file that is replaced, else those of a new file (mkstemp's own are for its owner alone)."""
    try:
        return path.stat().st_mode & 0o777
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask


def _rename_new(part: Path, path: Path) -> None:
    """Rename, but never onto an existing file."""
    try:
        os.link(part, path)
    except FileExistsError:
        raise SaveError(path, "exists already", "--overwrite replaces it") from None
    except OSError:  # a file system without links
        if os.path.lexists(path):
            raise SaveError(path, "exists already", "--overwrite replaces it") from None
        os.replace(part, path)


def _save_error(path: Path, error: OSError) -> SaveError:
    """An operating system's refusal as one line."""
    cause, remedy = refusal(error)
    return SaveError(path, f"can't be written: {cause}", remedy)
