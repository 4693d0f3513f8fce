"""One input, one result: what a worker does. Imported by every worker process, so nothing heavy at the top."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from tintype.errors import LimitError, PictureError, SaveError, TintypeError, TruncatedError, refusal

if TYPE_CHECKING:
    from tintype import ColoredPicture, Colorizer, Picture, ReadOptions

#: The name that stands for standard input and standard output.
PIPE = "-"

#: Seconds that workers get to finish or to clean up after an interruption.
GRACE = 10.0

_stopped = float("-inf")  # when the last request to end came, in seconds of time.monotonic()


@dataclass(frozen=True)
class Job:
    """An input ("-": standard input) and where its results go: one file, or one for each variant."""

    source: str
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Settings:
    """How all jobs of a run are to be done: plain values, so that they travel to worker processes."""

    verb: str = "colorize"  #: or "gray"
    method: str = "tint"
    device: str = "auto"
    threads: int | None = None  #: of one worker; None: all
    options: dict[str, Any] = field(default_factory=dict)  #: of methods.method.Options
    reading: dict[str, Any] = field(default_factory=dict)  #: of picture.files.ReadOptions
    chroma: str = "420"
    side_by_side: bool = False
    overwrite: bool = False
    format: str = ""  #: ending of what goes to standard output; "": as the input


@dataclass(frozen=True)
class Result:
    """What became of one job: `error` is "" where all went well, `trace` the reason of an internal error."""

    source: str
    outputs: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    pages: int = 0
    method: str = ""
    sha256: str = ""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    error: str = ""
    exit_code: int = 0
    trace: str = ""


class Worker:
    """Does jobs, one after the other, with one colorizer. Raises ModelError or UsageError where there can't be one."""

    def __init__(self, settings: Settings) -> None:
        import tintype

        self.settings = settings
        self.reading: ReadOptions = tintype.ReadOptions(**settings.reading)
        self.colorizer: Colorizer | None = None
        if settings.verb == "colorize":
            self.colorizer = tintype.Colorizer(settings.method, device=settings.device, threads=settings.threads)

    def do(self, job: Job) -> Result:
        """One job, whatever happens: an error is a field of the result. Only a request to stop passes through."""
        start = time.perf_counter()
        try:
            result = self._do(job)
        except TintypeError as error:
            result = Result(job.source, error=one_line(error), exit_code=error.exit_code)
        except MemoryError:
            result = Result(job.source, error=f"{job.source}: not enough memory (try --jobs 1)", exit_code=1)
        except OSError as error:
            cause, remedy = refusal(error)
            result = Result(job.source, error=f"{error.filename or job.source}: {cause} ({remedy})", exit_code=1)
        except Exception as error:
            text = one_line(error) or "no message"
            result = Result(
                job.source,
                error=f"{job.source}: internal error: {type(error).__name__}: {text}",
                exit_code=1,
                trace=traceback.format_exc(),
            )
        return replace(result, seconds=time.perf_counter() - start)

    def _do(self, job: Job) -> Result:
        """Read, colorize, write."""
        import tintype

        for output in job.outputs:
            _refuse(job.source, output, self.settings.overwrite)
        with _source(job.source) as path, _named(path, job.source):
            picture = tintype.open(path, self.reading)
            done = Result(job.source, job.outputs, picture.size, len(picture.pages))
            if self.colorizer is None:
                with _destination(job.outputs[0], self._ending(picture)) as out:
                    _save_gray(picture, out, self.settings.overwrite)
                notes = tuple(note for page in picture.pages for note in page.notes)
                return replace(done, notes=notes)
            return self._color(picture, job, done)

    def _color(self, picture: Picture, job: Job, done: Result) -> Result:
        """Each variant in turn: what was read is read once."""
        from tintype import Options

        assert self.colorizer is not None
        for number, output in enumerate(job.outputs, 1):
            variant = number if len(job.outputs) > 1 else 0
            colored = self.colorizer.colorize(picture, options=Options(**self.settings.options, variant=variant))
            with _destination(output, self._ending(picture)) as out:
                self._save(colored, out)
            done = replace(done, method=colored.method, sha256=colored.sha256, notes=colored.notes)
        return done

    def _save(self, colored: ColoredPicture, path: Path) -> None:
        from tintype.picture.files import save_side_by_side

        if self.settings.side_by_side:
            save_side_by_side(colored, path, overwrite=self.settings.overwrite)
        else:
            colored.save(path, overwrite=self.settings.overwrite, chroma=self.settings.chroma)

    def _ending(self, picture: Picture) -> str:
        """The ending of a result that goes to standard output."""
        from tintype.picture.files import EXTENSIONS

        if self.settings.format:
            return "." + self.settings.format.lstrip(".").lower()
        return next((ending for ending, name in EXTENSIONS.items() if name == picture.format), ".png")


def one_line(error: BaseException) -> str:
    """An exception's text, on one line."""
    return " ".join(str(error).splitlines())


def stop(number: int, frame: FrameType | None) -> None:
    """For Ctrl-C and SIGTERM: a request to end, as an exception, so that temporary files are removed on the way out.

    What follows within GRACE is the same request: an impatient user's, or what a worker gets from its parent after the
    whole group got it. It would come in the midst of that removal.
    """
    global _stopped
    if time.monotonic() - _stopped < GRACE:
        return
    _stopped = time.monotonic()
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)


def _save_gray(picture: Picture, path: Path, overwrite: bool) -> None:
    from tintype.picture.files import save_gray

    save_gray(picture, path, overwrite=overwrite)


def _refuse(source: str, output: str, overwrite: bool) -> None:
    """What can be refused before anything is read. Raises SaveError."""
    if output == PIPE:
        return
    target = Path(output)
    if source != PIPE and target.exists() and Path(source).exists() and target.samefile(source):
        raise SaveError(output, "the destination is the source", "give another name with -o")
    if target.is_dir():
        raise SaveError(output, "the destination is a folder", "give a file's name, or end it with /")
    if target.exists() and not overwrite:
        raise SaveError(output, "exists already", "--overwrite replaces it")


@contextmanager
def _source(source: str) -> Iterator[Path]:
    """The input as a file: standard input is copied to a temporary one, since most readers want to seek."""
    if source != PIPE:
        if Path(source).exists() and not Path(source).is_file():
            raise PictureError(source, "is no file", "pipe it in, with - as its name")
        yield Path(source)
        return
    with tempfile.TemporaryDirectory(prefix="tintype-") as folder:
        path = Path(folder) / "standard-input"
        with path.open("wb") as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy)
        yield path


@contextmanager
def _named(path: Path, source: str) -> Iterator[None]:
    """Errors about the temporary copy of standard input name standard input instead."""
    try:
        yield
    except (PictureError, LimitError) as error:
        if source != PIPE or error.path != str(path):
            raise
        kind = TruncatedError if isinstance(error, TruncatedError) else type(error)
        raise kind("standard input", error.cause, error.remedy) from error


@contextmanager
def _destination(output: str, ending: str) -> Iterator[Path]:
    """Where to write: the file itself; or a temporary one that goes to standard output in the end."""
    if output != PIPE:
        yield Path(output)
        return
    with tempfile.TemporaryDirectory(prefix="tintype-") as folder:
        path = Path(folder) / f"result{ending}"
        yield path
        with path.open("rb") as result:
            shutil.copyfileobj(result, sys.stdout.buffer)
        sys.stdout.buffer.flush()
