"""Several processes train as one with larger batches would; where one dies, all stop, and the run goes on later."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tintype.errors import TintypeError
from tintype.train import config, launch, run

AUTOENCODER = "system: autoencoder\nnet: {{width: 0.1, code: 32}}\nprecision: float32\nvalidation: 0.25\nschedule: {{name: cosine}}\nphases: [{{epochs: {epochs}, size: 32, batch: {batch}}}]\n"
#: A generator and a discriminator without batch normalization, which would see each process's pictures apart.
GAN = """
import os
import sys
from functools import partial
from pathlib import Path
from tintype.nets.koala import Koala
from tintype.nets.unet import PatchDiscriminator
from tintype.train import config, launch, run, systems
from tintype.train.task import Adversarial

def learn(chosen, net):
    return Adversarial(chosen, net, PatchDiscriminator((8,)), 100.0, 0.9)

systems.SYSTEMS["koala-gan"] = systems.System(Koala, learn)
file, data, cache, folder, devices = sys.argv[1:]
if int(devices) > 1 and "LOCAL_RANK" not in os.environ:
    sys.exit(launch.together([sys.executable, *sys.argv], int(devices), os.environ))
hardware = run.Hardware(devices=int(devices), workers=0)
say = partial(print, file=sys.stderr, flush=True)
run.run(config.read(Path(file)), [data], Path(folder), cache=Path(cache), hardware=hardware, say=say)
"""

needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the process in /proc")


@pytest.fixture(scope="module")
def cache(folder, tmp_path_factory):
    """The pictures, decoded once for all."""
    where = tmp_path_factory.mktemp("cache")
    (where / "a.yaml").write_text(AUTOENCODER.format(epochs=1, batch=8))
    run.prepare(config.read(where / "a.yaml"), [str(folder)], where / "cache")
    return where / "cache"


def made(path, epochs, batch):
    path.write_text(AUTOENCODER.format(epochs=epochs, batch=batch))
    return path


def assert_same_curves(one, two):
    rows, others = (list(csv.DictReader((folder / "metrics.csv").open())) for folder in (one, two))
    assert len(rows) == len(others) and len(rows) > 1
    for mine, theirs in zip(rows, others, strict=True):
        for key in set(mine) - {"seconds", "idle"}:
            # float32 sums in another order; the accuracy counts pixels, of which some are near ties.
            assert float(mine[key]) == pytest.approx(float(theirs[key]), rel=1e-3 if "accuracy" in key else 2e-5), key


def second_of(parent):
    """The process of rank 1 among the children of `parent`, or None."""
    for entry in Path("/proc").iterdir():
        try:
            theirs = entry.name.isdigit() and int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if theirs == parent and b"LOCAL_RANK=1" in (entry / "environ").read_bytes().split(b"\0"):
                return int(entry.name)
        except OSError:  # it has ended meanwhile
            pass
    return None


def killed_on_the_way(line, run, epochs):
    """Start two processes, kill the second after the first of `epochs`. What they said on stderr; the exit code is 1."""
    started = subprocess.Popen(line, stderr=subprocess.PIPE, text=True)
    assert started.stderr.readline().startswith(f"epoch 1 of {epochs}: ")
    os.kill(second_of(started.pid), signal.SIGKILL)
    said = started.stderr.read().splitlines()
    assert started.wait() == 1
    assert "process 1 of 2 was killed (SIGKILL)" in said[-1] and "same command" in said[-1]
    assert 1 <= len(list(csv.DictReader((run / "metrics.csv").open()))) < epochs, "it was to be killed in the middle"
    return said


@needs_proc
def test_two_processes_are_one_with_twice_the_batch_even_if_one_is_killed_on_the_way(folder, cache, tmp_path):
    chosen = config.read(made(tmp_path / "one.yaml", 6, 8))
    run.run(chosen, [str(folder)], tmp_path / "one", cache=cache, hardware=run.Hardware(workers=0))

    two = tmp_path / "two"
    line = [sys.executable, "-m", "tintype", "train", str(made(tmp_path / "two.yaml", 6, 4)), "--data", str(folder)]
    line += ["-o", str(two), "--cache", str(cache), "--workers", "0", "--devices", "2"]
    said = killed_on_the_way(line, two, 6)
    assert said[-1].startswith("error: ")
    rest = [text for text in said[:-1] if not text.startswith("epoch ")]
    assert rest in ([], ["error: another process of this run is gone, and so this one ends"])

    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(text.startswith("epoch ") for text in done.stderr.splitlines()), "each epoch is told of once"
    assert_same_curves(tmp_path / "one", two)


@needs_proc
def test_two_processes_are_one_with_twice_the_batch_in_adversarial_training_too(folder, cache, tmp_path):
    text = "system: koala-gan\nnet: {{width: 0.05}}\nprecision: float32\nvalidation: 0.2\nphases: [{{epochs: 4, size: 32, batch: {batch}}}]\n"
    (tmp_path / "gan.py").write_text(GAN)

    def line(name, batch, devices):
        (tmp_path / f"{name}.yaml").write_text(text.format(batch=batch))
        parts = (tmp_path / "gan.py", tmp_path / f"{name}.yaml", folder, cache, tmp_path / name, devices)
        return [sys.executable, *map(str, parts)]

    subprocess.run(line("one", 8, 1), check=True)
    killed_on_the_way(line("two", 4, 2), tmp_path / "two", 4)
    subprocess.run(line("two", 4, 2), check=True)
    assert_same_curves(tmp_path / "one", tmp_path / "two")


@needs_proc
def test_none_goes_on_when_the_one_that_started_them_is_killed(folder, cache, tmp_path):
    line = [sys.executable, "-m", "tintype", "train", str(made(tmp_path / "a.yaml", 1000, 4)), "--data", str(folder)]
    line += ["-o", str(tmp_path / "run"), "--cache", str(cache), "--workers", "0", "--devices", "2"]
    started = subprocess.Popen(line, stderr=subprocess.PIPE, text=True)
    assert started.stderr.readline().startswith("epoch 1 of ")
    assert second_of(started.pid)
    started.kill()
    started.communicate(timeout=60)  # waits until nobody is left who could say anything


def test_all_end_when_one_ends_badly():
    # Rank 1 ends by itself with 3; rank 0 would sleep for a minute.
    program = "import os, sys, time; sys.exit(3) if os.environ['LOCAL_RANK'] == '1' else time.sleep(60)"
    began = time.monotonic()
    assert launch.together([sys.executable, "-c", program], 2, os.environ) == 3
    assert time.monotonic() - began < 30
    program = "import os, signal, time; os.kill(os.getpid(), signal.SIGSEGV) if os.environ['LOCAL_RANK'] == '0' else time.sleep(60)"
    with pytest.raises(TintypeError, match=r"process 0 of 3 was killed \(SIGSEGV\)"):
        launch.together([sys.executable, "-c", program], 3, os.environ)


def test_they_are_told_where_to_meet():
    program = "import os, sys; sys.exit(0 if (os.environ['WORLD_SIZE'], os.environ['MASTER_ADDR']) == ('2', '127.0.0.1') and int(os.environ['MASTER_PORT']) and os.environ['LOCAL_RANK'] in '01' else 1)"
    assert launch.together([sys.executable, "-c", program], 2, os.environ) == 0
