"""A file from a URL to the disk, streamed, and resumed where it broke off. The one door to the internet."""

from __future__ import annotations

import http.client
import re
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tintype import __version__
from tintype.errors import ModelError, UsageError

#: Seconds without a byte after which a connection counts as dead.
TIMEOUT = 30.0
#: Bytes per read: as much is lost of what had arrived when a connection breaks.
_CHUNK = 1 << 16
_SCHEMES = ("http", "https", "file")

#: Told of bytes that are there and bytes in all (0: not known).
Step = Callable[[int, int], None]


def address(place: str) -> str:
    """`place`, a URL or the path of a file, as a URL. Raises UsageError for one that is neither http, https nor file."""
    if "://" not in place:
        return Path(place).resolve().as_uri()
    try:
        parts = urllib.parse.urlsplit(place)
    except ValueError:
        parts = urllib.parse.SplitResult("", "", "", "", "")
    if parts.scheme not in _SCHEMES or (parts.scheme != "file" and not parts.hostname):
        raise UsageError(
            f"{place}: is no address to fetch from; known: a path, {', '.join(f'{s}://' for s in _SCHEMES)}"
        )
    return place


def fetch(url: str, path: Path, step: Step, size: int = 0, timeout: float = TIMEOUT) -> bool:
    """Fill `path` with what is at `url`; what it holds already is taken for the beginning, where the server can go on from there.

    Returns whether something was: the caller's check of the whole then says if it belonged there. `size`: how many bytes
    are expected, where that is known. Raises ModelError, one line with cause and remedy; what has arrived stays in `path`,
    for the next time.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        have = path.stat().st_size if path.exists() else 0
        with _opened(url, have, timeout) as answer:
            start = have if _goes_on(answer, have) else 0
            length = int(answer.headers.get("Content-Length") or 0)
            total = start + length if length else 0
            if size and total and total != size:
                raise ModelError(
                    f"{url}: has {total:,} bytes instead of {size:,}, so it is another file; name another place with --from"
                )
            if total - start > (free := shutil.disk_usage(path.parent).free):
                raise ModelError(
                    f"{path.parent}: {megabytes(total - start)} are needed and {megabytes(free)} free; free some space"
                )
            with path.open("r+b" if start else "wb") as file:
                file.seek(start)
                _copy(answer, file, url, start, total or size, step)
    except _Whole:
        return True
    except OSError as error:  # those of the connection are ModelErrors by now
        raise ModelError(
            f"{path}: can't be written: {error.strerror or error} (free some space or check its permissions; then the same command goes on)"
        ) from None
    return start > 0


def megabytes(count: int) -> str:
    """Bytes as people say them: "553 MB"."""
    return f"{count / 1e6:,.0f} MB" if count >= 1e6 else f"{count:,} bytes"


class _Whole(Exception):
    """There is nothing at the URL behind what we have."""


def _opened(url: str, have: int, timeout: float) -> Any:
    """The server's answer, from byte `have` on where it can. Raises ModelError, and _Whole where nothing is left."""
    headers = {"User-Agent": f"tintype/{__version__}", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416 and have:
                raise _Whole from None
            raise ModelError(f"{url}: {error.code} {error.reason}; name another place with --from") from None
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        cause = getattr(error, "reason", None) or error
        cause = getattr(cause, "strerror", None) or cause
        where = urllib.parse.urlsplit(url).hostname or url
        raise ModelError(
            f"{where}: can't be reached: {cause} (check the connection, or name another place with --from)"
        ) from None


def _goes_on(answer: Any, have: int) -> bool:
    """Whether the answer begins at byte `have` > 0. One that ignores Range (200), or a file's, begins at 0."""
    found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range") or "")
    return have > 0 and answer.status == 206 and found is not None and int(found[1]) == have


def _copy(answer: Any, file: Any, url: str, done: int, total: int, step: Step) -> None:
    """The answer's bytes into the file, and nothing behind them. Raises ModelError where the connection breaks off, OSError where the disk is full."""
    while True:
        step(done, total)
        try:
            chunk = answer.read(_CHUNK)
        except (http.client.HTTPException, OSError) as error:
            raise _broken(url, done, total, str(error) or type(error).__name__) from None
        if not chunk:
            break
        file.write(chunk)
        done += len(chunk)
    if done < total:
        raise _broken(url, done, total, "the server closed the connection")
    file.truncate()


def _broken(url: str, done: int, total: int, cause: str) -> ModelError:
    of = f" of {megabytes(total)}" if total else ""
    return ModelError(f"{url}: broke off after {megabytes(done)}{of}: {cause} (the same command goes on from there)")
