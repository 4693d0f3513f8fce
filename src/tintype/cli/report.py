"""What the command says: data on stdout, words on stderr, and the exit code."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any

from tintype.cli.work import Result


class Report:
    """Tells of each result as it comes. `with Report(...) as report: report.add(...)`; then `report.exit_code()`.

    A bar on a terminal, plain lines otherwise; failures always, the rest not with `quiet`; `as_json` adds one object
    per input on stdout.
    """

    def __init__(self, total: int, *, as_json: bool = False, quiet: bool = False, verbose: bool = False) -> None:
        self.total, self.as_json, self.quiet, self.verbose = total, as_json, quiet, verbose
        self.done, self.codes = 0, list[int]()
        self._stack = contextlib.ExitStack()
        self._step: Callable[[], None] = lambda: None
        self._say: Callable[[str], None] = say

    def __enter__(self) -> Report:
        self._bar = self.total > 1 and not self.quiet and sys.stderr.isatty()
        if self._bar:
            self._say, self._step = self._stack.enter_context(_progress(self.total))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        self._say = say
        if kind is None and not self.quiet and self.total > 1:
            failed = f", {len(self.codes)} failed" if self.codes else ""
            say(f"{self.done} of {self.total} done{failed}")

    def add(self, result: Result) -> None:
        """One more input is through."""
        if self.as_json:
            sys.stdout.write(json.dumps(as_object(result)) + "\n")
            sys.stdout.flush()
        if result.error:
            self.codes.append(result.exit_code)
            self._say(printable(f"error: {result.error}"))
            if self.verbose and result.trace:
                self._say(result.trace.rstrip())
        else:
            self.done += 1
            if not self.quiet:
                for line in self._lines(result):
                    self._say(printable(line))
        self._step()

    def _lines(self, result: Result) -> Iterator[str]:
        """The words for one success."""
        if not self._bar or self.verbose:
            more = ""
            if self.verbose and result.size:
                height, width = result.size
                by = f", {result.method} {result.sha256[:12]}".rstrip() if result.method else ""
                pages = f", {result.pages} pages" if result.pages > 1 else ""
                more = f"  ({width}x{height}{pages}{by}, {result.seconds:.2f} s)"
            yield f"{result.source} -> {', '.join(result.outputs)}{more}"
        for note in result.notes:
            yield f"{result.source}: {note}"

    def exit_code(self) -> int:
        """0 if nothing failed; the failures' own code if they agree on one; 1 otherwise."""
        return max(self.codes) if len(set(self.codes)) == 1 else int(bool(self.codes))


def as_object(result: Result) -> dict[str, Any]:
    """What --json says of one input. `size` is [width, height] as stored; `error` null where all went well."""
    return {
        "input": result.source,
        "output": result.outputs[0] if result.outputs else None,
        "outputs": list(result.outputs),
        "size": [result.size[1], result.size[0]] if result.size else None,
        "pages": result.pages,
        "method": result.method or None,
        "sha256": result.sha256 or None,
        "notes": list(result.notes),
        "seconds": round(result.seconds, 3),
        "error": result.error or None,
    }


def say(text: str) -> None:
    """Lines on stderr."""
    sys.stderr.write(text + "\n")


def printable(text: str) -> str:
    """Line breaks and what else would move a terminal's cursor, as Python writes them: file names may hold anything."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def table(rows: Iterable[tuple[str, ...]]) -> None:
    """Rows on stdout, columns aligned."""
    rows = list(rows)
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))] if rows else []
    for row in rows:
        sys.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n")


@contextlib.contextmanager
def _progress(total: int) -> Iterator[tuple[Callable[[str], None], Callable[[], None]]]:
    """A bar on the terminal: a way to print above it and a way to move it on."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("pictures"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=total)
        yield (
            lambda text: console.print(text, markup=False, highlight=False, soft_wrap=True),
            lambda: progress.advance(task),
        )


@contextlib.contextmanager
def counted(what: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """How far something long has come, told by calls (done, total): a bar on a terminal, a line for every tenth otherwise, nothing with `quiet`."""
    if quiet:
        yield lambda done, total: None
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
    else:
        told = [0]

        def line(done: int, total: int) -> None:
            tenth = 10 * done // max(1, total)
            if tenth > told[0]:
                told[0] = tenth
                say(f"{done} of {total} {what}")

        yield line
