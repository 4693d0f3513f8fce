"""Where a process that reads pictures is killed, the run says so in one line, whichever kind it is."""

import threading
from multiprocessing import active_children
from pathlib import Path

import pytest
import yaml

from tintype.errors import TintypeError
from tintype.train import config, fit, recipe, run
from tintype.train.loading import alive, loader

AUTOENCODER = "system: autoencoder\nnet: {width: 0.1, code: 32}\nsteps_per_epoch: 300\nphases: [{epochs: 50, size: 32, batch: 8}]\n"
TINT = Path(__file__).parents[2] / "configs" / "tint" / "base.yaml"


@pytest.fixture
def killer():
    """A thread that kills whoever reads, once a second."""

    def kill():
        while not ended.wait(1):
            for child in active_children():
                child.kill()

    ended = threading.Event()
    thread = threading.Thread(target=kill)
    thread.start()
    yield
    ended.set()
    thread.join()


def by_system(folder, tmp_path):
    (tmp_path / "a.yaml").write_text(AUTOENCODER)
    run.run(config.read(tmp_path / "a.yaml"), [str(folder)], tmp_path / "run", hardware=run.Hardware(workers=1))


def tint(folder, tmp_path):
    small = {"widths": [8, 8, 16, 16, 32], "classes": 8, "teacher_weight": 0.0, "phases": [{"steps": 10000, "size": 32, "batch": 4, "area": [0.5, 1.0]}]}  # fmt: skip
    (tmp_path / "a.yaml").write_text(yaml.safe_dump({"base": str(TINT), **small}))
    fit.fit(recipe.Config.read(tmp_path / "a.yaml"), [str(folder)], tmp_path / "run", tmp_path / "cache", workers=1)


@pytest.mark.parametrize("train", [by_system, tint])
def test_a_killed_reader_ends_the_run_with_one_line(train, folder, tmp_path, killer):
    with pytest.raises(TintypeError, match=r"a process that reads pictures was killed.*goes on") as error:
        train(folder, tmp_path)
    assert "\n" not in str(error.value)


class Broken:
    """Pictures none of which can be had."""

    def __len__(self):
        return 4

    def __getitem__(self, i):
        raise RuntimeError("a fault of our own")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_reader_with_a_fault_is_not_taken_for_a_killed_one(workers):
    with pytest.raises(RuntimeError, match="a fault of our own"), alive():
        next(iter(loader(Broken(), 2, workers)))
