"""Ctrl-C, and workers that die: only whole files remain, and the others go on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from .conftest import is_whole, leftovers

COUNT = 10


@pytest.fixture
def album(tmp_path: Path, examples: Path) -> Path:
    """A folder of pictures large enough to be caught at work."""
    folder = tmp_path / "album"
    folder.mkdir()
    large = Image.open(examples / "astronaut.jpg").resize((1800, 1800), Image.Resampling.BICUBIC)
    large.save(folder / "00.png", compress_level=1)
    for k in range(1, COUNT):
        (folder / f"{k:02}.png").write_bytes((folder / "00.png").read_bytes())
    return folder


@contextmanager
def started(album: Path, jobs: int) -> Iterator[subprocess.Popen[bytes]]:
    """The command at work on `album`, in a process group of its own, once its first result is there."""
    out = album.parent / "out"
    command = [sys.executable, "-m", "tintype", "colorize", str(album), "-o", str(out), "--method", "wash"]
    running = subprocess.Popen(
        [*command, "--jobs", str(jobs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        # Tests that run in a shell's background inherit that Ctrl-C is ignored, and so would the command.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        while not list(out.glob("[0-9]*.png")):
            assert running.poll() is None, running.communicate()
            time.sleep(0.01)
        yield running
    finally:
        if running.poll() is None:
            running.kill()
            running.communicate()


def workers_of(pid: int) -> list[int]:
    """The worker processes of the command."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("whole_group", [True, False])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_leaves_whole_files(album: Path, jobs: int, whole_group: bool, number: signal.Signals) -> None:
    with started(album, jobs) as running:
        (os.killpg if whole_group else os.kill)(running.pid, number)
        _, words = running.communicate(timeout=60)
    assert running.returncode == 128 + number, words
    assert b"Traceback" not in words, words
    results = list((album.parent / "out").iterdir())
    assert len(results) < COUNT and all(is_whole(path) for path in results)
    assert leftovers(album.parent) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_insisting_leaves_whole_files(album: Path, number: signal.Signals) -> None:
    with started(album, 2) as running:
        while running.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, number)
            time.sleep(0.01)
        _, words = running.communicate(timeout=60)
    # In its very last moments Python has no handlers any more; shells tell both alike.
    assert running.returncode in (128 + number, -number), words
    assert b"Traceback" not in words, words
    assert all(is_whole(path) for path in (album.parent / "out").iterdir())
    assert leftovers(album.parent) == []


@pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")
def test_a_worker_that_dies_fails_its_file_only(album: Path) -> None:
    with started(album, 2) as running:
        os.kill(workers_of(running.pid)[0], signal.SIGKILL)
        _, words = running.communicate(timeout=120)
    lines = words.decode().splitlines()
    failed = [line for line in lines if line.startswith("error: ")]
    assert running.returncode == 1 and len(failed) == 1 and "SIGKILL" in failed[0], lines
    assert f"{COUNT - 1} of {COUNT} done, 1 failed" in lines[-1]
    results = list((album.parent / "out").glob("[0-9]*.png"))
    # It may have died after its file was finished and before it said so.
    assert len(results) in (COUNT - 1, COUNT) and all(is_whole(path) for path in results)


@pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")
def test_workers_do_not_outlive_the_command(album: Path) -> None:
    with started(album, 2) as running:
        workers = workers_of(running.pid)
        running.kill()
        running.communicate()
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
