"""From what stands on the command line to jobs: which pictures, and where each result goes."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tintype.cli.work import PIPE, Job, Result
from tintype.errors import UsageError, refusal

#: Formats that hold grey only; with colour the file is called otherwise, and without it again as before.
COLORED_ENDING = {".pgm": ".ppm", ".pbm": ".ppm"}
GRAY_ENDING = {".ppm": ".pgm"}


@dataclass(frozen=True)
class Found:
    """A picture that was asked for, and its path relative to the folder that was named ("" if it was named itself)."""

    source: str
    below: str = ""


@dataclass(frozen=True)
class Naming:
    """How results are called: NAME-`suffix` beside the input, or NAME in a folder of results; `variants` get -1, -2 ...

    `siblings` are the suffixes that the same command gives to its other kinds of results.
    """

    suffix: str
    variants: int = 1
    endings: tuple[tuple[str, str], ...] = ()
    siblings: tuple[str, ...] = ()

    def names(self, source: Path, beside: bool) -> tuple[str, ...]:
        """The results' file names."""
        ending = dict(self.endings).get(source.suffix.lower(), source.suffix)
        stem = f"{source.stem}-{self.suffix}" if beside else source.stem
        numbers = [f"-{k}" for k in range(1, self.variants + 1)] if self.variants > 1 else [""]
        return tuple(f"{stem}{number}{ending}" for number in numbers)


def find(
    asked: Iterable[str], endings: Iterable[str], skip: Sequence[str] = (), out: Path | None = None
) -> tuple[list[Found], list[Result]]:
    """The pictures that `asked` (files, folders, globs, "-") names, each once, and a failure for what names none.

    Folders are walked, hidden files left out, and only files that end in one of `endings` are taken. Each of `skip`
    leaves out NAME-skip.EXT where there is a NAME beside it: that is a result of ours. The folder `out` is not walked.
    """
    known = frozenset(endings)
    found: dict[str, Found] = {}
    failed: list[Result] = []
    for item in asked:
        matches = [item] if item == PIPE or os.path.lexists(item) else sorted(glob.glob(item, recursive=True))
        if not matches:
            what = "matches no file" if glob.has_magic(item) else "there is no such file"
            what += " (check the name and the folder)"
            failed.append(Result(item, error=f"{item}: {what}", exit_code=1))
        for match in matches:
            here = [Found(match)]
            if match != PIPE and os.path.isdir(match):
                before = len(failed)
                here = [*_walk(match, known, skip, out, failed)]
                if not here and match == item and len(failed) == before:
                    failed.append(Result(match, error=f"{match}: no pictures in this folder", exit_code=1))
            for each in here:
                found.setdefault(each.source if each.source == PIPE else os.path.realpath(each.source), each)
    return list(found.values()), failed


def _walk(
    folder: str, known: frozenset[str], skip: Sequence[str], out: Path | None, failed: list[Result]
) -> Iterator[Found]:
    """The pictures in a folder, in the order of their names. A folder that can't be listed is one of `failed`."""

    def refused(error: OSError) -> None:
        cause, remedy = refusal(error)
        failed.append(Result(str(error.filename), error=f"{error.filename}: {cause} ({remedy})", exit_code=1))

    for here, folders, files in os.walk(folder, onerror=refused):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and not _same(os.path.join(here, f), out))
        names = set(files)
        for name in sorted(names):
            if name.startswith(".") or os.path.splitext(name)[1].lower() not in known:
                continue
            if any(_is_result(name, suffix, names) for suffix in skip):
                continue
            path = os.path.join(here, name)
            if not os.path.isfile(path):  # a pipe or a device would keep us waiting
                continue
            yield Found(path, os.path.relpath(path, folder))


def _is_result(name: str, suffix: str, names: set[str]) -> bool:
    """Whether NAME-suffix.EXT (or NAME-suffix-3.EXT) has its NAME.* among `names`."""
    match = re.fullmatch(rf"(.+)-{suffix}(-\d+)?\.\w+", name)
    return match is not None and any(os.path.splitext(other)[0] == match[1] for other in names)


def _same(path: str, other: Path | None) -> bool:
    return other is not None and other.exists() and os.path.samefile(path, other)


def plan(
    found: list[Found], out: str | None, naming: Naming, endings: Iterable[str], several: bool = False
) -> list[Job]:
    """A job for each picture. `out` is a folder if it ends with "/", is one, or must be one; "-" is standard output.

    `several` says that there might have been more than one picture, so that `scans/*.tif -o out` means a folder even
    where only one file matches.

    Raises UsageError where results would share a name or replace a picture that is to be read.
    """
    if out == PIPE or (out is None and any(f.source == PIPE for f in found)):
        if len(found) != 1 or naming.variants > 1:
            raise UsageError("standard output takes one result: name one input, or a folder with -o")
        return [Job(found[0].source, (PIPE,))]
    known = frozenset(endings)
    is_folder = _is_folder(found, out, several, known)
    jobs = [Job(f.source, _outputs(f, out, is_folder, naming, known)) for f in found]
    _check(jobs)
    return jobs


def _is_folder(found: list[Found], out: str | None, several: bool, known: frozenset[str]) -> bool:
    """Whether `out` stands for a folder. Raises UsageError where it must and can't."""
    if out is None:
        return False
    must = len(found) > 1 or any(f.below for f in found)
    if must and os.path.lexists(out) and not os.path.isdir(out):
        raise UsageError(f"-o {out} is a file, and there are several inputs: name a folder")
    likely = several and Path(out).suffix.lower() not in known
    return must or likely or out.endswith(("/", os.sep)) or os.path.isdir(out)


def _outputs(found: Found, out: str | None, is_folder: bool, naming: Naming, known: frozenset[str]) -> tuple[str, ...]:
    """Where the results of one picture go. Raises UsageError for a name without a known ending."""
    source = Path(found.source)
    if out is None:
        return tuple(str(source.parent / name) for name in naming.names(source, beside=True))
    if is_folder:
        if found.source == PIPE:
            raise UsageError("standard input has no name: give -o a file's name or '-'")
        folder = Path(out) / Path(found.below).parent
        return tuple(str(folder / name) for name in naming.names(source, beside=False))
    target = Path(out)
    if target.suffix.lower() not in known:
        raise UsageError(
            f"-o {out}: the ending names the format; known: {' '.join(sorted(known))}; a folder ends with /"
        )
    numbers = [f"-{k}" for k in range(1, naming.variants + 1)] if naming.variants > 1 else [""]
    return tuple(str(target.with_name(f"{target.stem}{number}{target.suffix}")) for number in numbers)


def _check(jobs: list[Job]) -> None:
    """No two results with one name, none in the place of another input. Raises UsageError."""
    sources = {os.path.realpath(job.source): job.source for job in jobs}
    seen: dict[str, str] = {}
    for job in jobs:
        for output in job.outputs:
            place = os.path.realpath(output)
            if place in seen:
                raise UsageError(
                    f"{seen[place]} and {job.source} would both be written to {output}; do them one by one"
                )
            if place in sources and sources[place] != job.source:
                raise UsageError(f"the result of {job.source} would replace {sources[place]}, which is an input too")
            seen[place] = job.source
