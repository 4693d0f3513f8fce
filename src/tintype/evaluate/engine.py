"""An evaluation's long part: pictures through all candidates, in several processes, in parts that are kept. A killed one goes on."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from zipfile import is_zipfile

from filelock import FileLock, Timeout

from tintype.errors import TintypeError, UsageError
from tintype.evaluate.measuring import bench
from tintype.evaluate.pictures import count, drawn
from tintype.evaluate.plan import Plan
from tintype.picture.atomic import replacing

#: Pictures of one part: what a killed evaluation loses at most, for each process.
CHUNK = 8
#: Parts under way for each process: enough that none waits, few enough that memory stays flat.
_AHEAD = 2
#: One thread for each process: several share the cores.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VIPS_CONCURRENCY"), "1")

#: Told after each part: pictures done, and all.
Step = Callable[[int, int], None]
#: Done in a process: the pictures of some numbers, into a file of numpy's (.npz), whole or not at all.
Work = Callable[[tuple[int, ...], Path], None]


@contextmanager
def opened(plan: Plan, folder: Path) -> Iterator[None]:
    """The folder of an evaluation, ours alone while the block runs. Raises UsageError where it holds another one, or one is at work in it."""
    parts = folder / "parts"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UsageError(f"{folder}: another evaluation is at work in it") from None
    try:
        path, text = folder / "plan.json", plan.written()
        if path.exists() and path.read_text() != text:
            raise UsageError(f"{folder}: holds another evaluation, or files of it have changed; choose another -o")
        with replacing(path, overwrite=True) as part:
            part.write_text(text)
        for half in parts.glob(".*"):  # of a killed evaluation
            half.unlink()
        yield
    finally:
        if not any(parts.glob("[0-9]*")):  # nothing was measured that another evaluation could be mixed with
            (folder / "plan.json").unlink(missing_ok=True)
        lock.release()


def measure(plan: Plan, folder: Path, processes: int, step: Step) -> list[Path]:
    """Measure all pictures of the plan; the files of the parts, in order. What is there already is not done again.

    Raises UsageError where there is no picture, TintypeError where a process dies.
    """
    total = count(plan.data)
    chosen = drawn(total, plan.subset, plan.seed)
    numbers = range(total) if chosen is None else sorted(chosen)
    if not numbers:
        raise UsageError(f"{', '.join(plan.data)}: holds no picture")
    return in_parts(partial(_measure, plan), numbers, folder, processes, step)


def in_parts(work: Work, numbers: Sequence[int], folder: Path, processes: int, step: Step) -> list[Path]:
    """Do `work` on pictures of rising `numbers`, a part at a time; the files of the parts, in order. Those that are there are not done again.

    Raises TintypeError where a process dies.
    """
    paths: list[Path] = []
    done = 0
    for path, pictures in _parts(work, numbers, folder, processes):
        paths.append(path)
        done += pictures
        step(done, len(numbers))
    return paths


def _parts(work: Work, numbers: Sequence[int], folder: Path, processes: int) -> Iterator[tuple[Path, int]]:
    """Each part's file, once it is there, and how many pictures it has, in order. A few are under way at a time.

    Processes are sent numbers and read the pictures themselves: what is larger than a pipe's buffer would keep this
    process waiting for one that has died (in Python before 3.11.5).
    """
    chunks = enumerate(numbers[at : at + CHUNK] for at in range(0, len(numbers), CHUNK))
    under_way: deque[tuple[Path, int, Future[None] | None]] = deque()
    context = get_context("spawn")
    with (
        _environment(),
        ProcessPoolExecutor(processes, context, initializer=_begin) as pool,
    ):
        try:
            for number, chunk in chunks:
                path = folder / "parts" / f"{number:06d}.npz"
                task = None if is_zipfile(path) else pool.submit(work, tuple(chunk), path)
                under_way.append((path, len(chunk), task))
                if len(under_way) >= _AHEAD * processes:
                    yield _finished(*under_way.popleft())
            while under_way:
                yield _finished(*under_way.popleft())
        except BrokenProcessPool:
            raise TintypeError(
                "a process that measured died (out of memory? try --jobs 1); the same command goes on from there"
            ) from None
        except BaseException:  # nobody waits for parts that were begun: what is finished is whole
            for process in active_children():
                process.kill()
            raise


def _finished(path: Path, pictures: int, task: Future[None] | None) -> tuple[Path, int]:
    if task:
        task.result()
    return path, pictures


def _measure(plan: Plan, numbers: tuple[int, ...], path: Path) -> None:
    """In a process: one part, measured and stored."""
    part = bench(plan).measure(numbers)
    with replacing(path, overwrite=True) as file:
        part.save(file)


def _begin() -> None:
    """In a new process: Ctrl-C is the parent's business, and where the parent is killed this ends too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    assert parent is not None

    def end_with(sentinel: int) -> None:
        wait([sentinel])
        os._exit(1)

    threading.Thread(target=end_with, args=(parent.sentinel,), daemon=True).start()


@contextmanager
def _environment() -> Iterator[None]:
    """One thread for each process that is started within: libraries read that when they are loaded."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(_ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
