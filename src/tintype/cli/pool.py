"""Many jobs in several processes, where the death of one costs one job and nothing else.

Not concurrent.futures: its pool breaks as a whole when one process dies, and can't say which job killed it. Here each
worker has a pipe of its own and one job at a time, so it is known at once, and a new worker takes over.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from tintype.cli.work import GRACE, Job, Result, Settings, Worker, one_line, stop
from tintype.errors import ModelError, TintypeError, UsageError


@dataclass
class _Running:
    """A worker process, its pipe and the job that it has."""

    process: SpawnProcess
    pipe: Connection
    job: Job | None = None


def run(jobs: Sequence[Job], settings: Settings, workers: int) -> Generator[Result]:
    """The results of all jobs, in the order in which they are done. One worker means: here, in this process.

    Raises ModelError or UsageError where no worker can be set up. Closing the iterator, or an exception thrown into it,
    ends the workers cleanly: what they were writing is removed.
    """
    if workers <= 1:
        worker = Worker(settings)
        for job in jobs:
            yield worker.do(job)
        return
    waiting = list(reversed(jobs))
    running = [_start(settings) for _ in range(min(workers, len(jobs)))]
    finished = False
    try:
        for worker_ in running:
            _give(worker_, waiting)
        while busy := {id(r.pipe): r for r in running if r.job is not None}:
            for pipe in wait([r.pipe for r in busy.values()]):
                each = busy[id(pipe)]
                result = _take(each)
                if each.pipe.closed:
                    running.remove(each)
                    if waiting:
                        running.append(each := _start(settings))
                if not each.pipe.closed:
                    _give(each, waiting)
                yield result
        finished = True
    finally:
        _end(running, at_once=not finished)


def _start(settings: Settings) -> _Running:
    """A new worker process, at rest."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, settings), daemon=True)
    # Libraries read these when they are loaded, in the new process. With an arena of memory for each thread, as glibc has
    # it otherwise, a worker would grow over the pictures.
    variables = {"MALLOC_ARENA_MAX": "1"}
    if settings.threads:
        variables |= dict.fromkeys(
            ("VIPS_CONCURRENCY", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(settings.threads)
        )
    with _environment(variables), _without_interrupts():
        process.start()
    theirs.close()
    return _Running(process, ours)


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables that are not set yet, for as long as the block runs."""
    new = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(new)
    try:
        yield
    finally:
        for name in new:
            del os.environ[name]


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Hold Ctrl-C back while the block runs. A process started in it never sees one, not even before its first line."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _give(worker: _Running, waiting: list[Job]) -> None:
    """The next job to a worker; None left: none."""
    worker.job = waiting.pop() if waiting else None
    if worker.job is not None:
        # A worker that died while at rest is noticed when its answer is read.
        with contextlib.suppress(OSError):
            worker.pipe.send(worker.job)


def _take(worker: _Running) -> Result:
    """A worker's answer to its job. One that died has failed it; its pipe is closed."""
    assert worker.job is not None
    try:
        answer = worker.pipe.recv()
    except (EOFError, OSError):
        worker.pipe.close()
        worker.process.join(GRACE)
        worker.process.kill()
        code = worker.process.exitcode
        how = _signal_name(-code) if code is not None and code < 0 else f"exit code {code}"
        hint = " (out of memory? try --jobs 1)" if how == "SIGKILL" else ""
        text = f"{worker.job.source}: the process that worked on it died: {how}{hint}"
        return Result(worker.job.source, error=text, exit_code=1)
    if isinstance(answer, TintypeError):
        raise answer
    assert isinstance(answer, Result)
    return answer


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _end(running: list[_Running], at_once: bool) -> None:
    """End all workers: those at rest leave when their pipe closes, the others at SIGTERM, which they answer by cleaning up."""
    for worker in running:
        worker.pipe.close()
        if at_once:
            worker.process.terminate()
    try:
        for worker in running:
            worker.process.join(GRACE)
    finally:
        for worker in running:
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()


def _serve(pipe: Connection, settings: Settings) -> None:
    """A worker process: jobs in, results out, until the pipe closes. Ctrl-C is the parent's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, stop)
    refused: TintypeError | None = None
    worker: Worker | None = None
    try:
        worker = Worker(settings)
    except TintypeError as error:
        kind = ModelError if isinstance(error, ModelError) else UsageError
        refused = kind(one_line(error))
    except Exception as error:
        refused = ModelError(f"internal error: {type(error).__name__}: {one_line(error)}")
    with contextlib.suppress(EOFError, OSError):
        while True:
            job = pipe.recv()
            pipe.send(refused if worker is None else worker.do(job))
