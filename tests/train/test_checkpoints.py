"""Checkpoints are whole or not there; what is none is one line, and nothing in it is run."""

import os
import subprocess
import sys

import pytest
import torch
import yaml

from tintype.errors import SaveError, UsageError
from tintype.train import checkpoints, config, export, fit, run
from tintype.train.guard import LossError

KOALA = "system: koala\nnet: {width: 0.05}\nphases: [{epochs: %d, size: 32, batch: 16}]\n"
RESIDUAL = "system: residual\nnet: {width: 0.05, output: ab}\nphases: [{epochs: 1, size: 32, batch: 16}]\n"
TINT = dict(
    net="tint", seed=3, classes=8, topics=False, widths=[8, 8, 8, 8, 32], depths=[1, 1, 1, 1], up_depths=[1, 1, 1],
    attention=[1, 0], queries=0, ema=0.9, class_weight=0.15, topic_weight=0.0, teacher_weight=0.0, vivid=0, vivid_weight=0.0, feature_weight=0.0,
    colour_weight=0.0, critic_weight=0.0, frozen=False,
    optimizer="adamw", weight_decay=0.01, hints=0.0, spoil=0.5, balance=0.0, learning_rate=0.003, phases=[dict(steps=2, size=64, batch=4, area=[0.5, 1.0])],
)  # fmt: skip


class Evil:
    """What unpickling it would do: make a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def made(path, text):
    path.write_text(text if isinstance(text, str) else yaml.safe_dump(text))
    return path


@pytest.fixture(scope="module")
def koala(folder, tmp_path_factory):
    """A finished run of one epoch, as {name: bytes}."""
    where = tmp_path_factory.mktemp("koala")
    chosen = config.read(made(where / "k.yaml", KOALA % 1))
    run.run(chosen, [str(folder)], where / "run", hardware=run.Hardware(workers=0))
    return where / "run"


def copy_of(folder, where):
    """The run's last checkpoint, where another run finds it."""
    (where / "checkpoints").mkdir(parents=True)
    last = where / "checkpoints" / "last.ckpt"
    last.write_bytes((folder / "checkpoints" / "last.ckpt").read_bytes())
    return last


def spoilt(path, damage):
    """The file, damaged; a trap that opens if anything in it is run."""
    trap = path.parent / "trap"
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:5000])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_text("once upon a time")
    elif damage == "pickle":
        torch.save({"system": "koala", "state_dict": Evil(str(trap)), "net": Evil(str(trap))}, path)
    elif damage == "old pickle":
        torch.save({"state_dict": Evil(str(trap))}, path, _use_new_zipfile_serialization=False)
    elif damage == "list":
        torch.save([1, 2], path)
    return trap


DAMAGES = ["truncated", "empty", "text", "pickle", "old pickle", "list"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_run_does_not_go_on_from_a_checkpoint_that_is_none(damage, koala, folder, tmp_path):
    last = copy_of(koala, tmp_path / "run")
    trap = spoilt(last, damage)
    chosen = config.read(made(tmp_path / "k.yaml", KOALA % 2))
    with pytest.raises(UsageError, match=r"last\.ckpt: .*delete it") as error:
        run.run(chosen, [str(folder)], tmp_path / "run", hardware=run.Hardware(workers=0))
    assert "\n" not in str(error.value) and "weights_only" not in str(error.value)
    assert not trap.exists()
    assert not (tmp_path / "run/config.yaml").exists(), "nothing is written before it is looked at"


def test_a_run_does_not_go_on_from_another_systems_checkpoint(koala, folder, tmp_path):
    copy_of(koala, tmp_path / "run")
    chosen = config.read(made(tmp_path / "r.yaml", RESIDUAL))
    with pytest.raises(UsageError, match=r"last\.ckpt: is of another network \(koala\)"):
        run.run(chosen, [str(folder)], tmp_path / "run", hardware=run.Hardware(workers=0))


@pytest.mark.parametrize("damage", [*DAMAGES, "other system", "other widths"])
def test_tints_own_loop_refuses_them_too(damage, koala, folder, tmp_path):
    where = tmp_path / "run"
    plan = TINT | {"phases": [TINT["phases"][0] | {"steps": 0}]}
    first = fit.Config.read(made(tmp_path / "t.yaml", TINT))
    fit.fit(first, [str(folder)], where, tmp_path / "cache", workers=0)
    path = where / "checkpoint.pt"
    if damage == "other system":
        path.write_bytes((koala / "checkpoints/last.ckpt").read_bytes())
    elif damage == "other widths":
        plan |= {"widths": [8, 8, 8, 16, 32]}
    trap = spoilt(path, damage)
    before = (where / "config.yaml").read_bytes()
    with pytest.raises(UsageError, match=r"checkpoint\.pt") as error:
        fit.fit(fit.Config.read(made(tmp_path / "t.yaml", plan)), [str(folder)], where, tmp_path / "cache", workers=0)
    assert "\n" not in str(error.value) and not trap.exists() and (where / "config.yaml").read_bytes() == before
    if damage not in ("other widths", "other system"):
        with pytest.raises(UsageError, match=r"checkpoint\.pt"):
            export.load(where)


def test_a_network_of_another_kind_is_not_exported(koala, tmp_path):
    (tmp_path / "config.yaml").write_text(RESIDUAL)
    (tmp_path / "checkpoints").mkdir()
    best = tmp_path / "checkpoints/best.ckpt"
    best.write_bytes((koala / "checkpoints/best.ckpt").read_bytes())
    with pytest.raises(UsageError, match=r"best\.ckpt: holds no weights of residual"):
        export.of_run(tmp_path)
    best.unlink()
    with pytest.raises(UsageError, match=r"best\.ckpt"):
        export.of_run(tmp_path)


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    path = tmp_path / "new" / "x.ckpt"
    checkpoints.write({"a": torch.arange(5), "b": {"c": [1, "two"]}}, path)
    state = checkpoints.read(path, ("a", "b"))
    assert torch.equal(state["a"], torch.arange(5)) and state["b"] == {"c": [1, "two"]}
    assert [p.name for p in path.parent.iterdir()] == ["x.ckpt"]
    with pytest.raises(UsageError, match="lacks d, e"):
        checkpoints.read(path, ("a", "d", "e"))
    (tmp_path / "file").touch()
    with pytest.raises(SaveError, match=r"x\.ckpt: can't be written: (Not a directory|File exists)"):
        checkpoints.write({}, tmp_path / "file" / "x.ckpt")


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on files' sizes")
def test_a_full_disk_leaves_the_checkpoint_before_it_whole(folder, tmp_path):
    big = "system: autoencoder\nnet: {width: 0.3, code: 256}\nphases: [{epochs: %d, size: 32, batch: 16}]\n"
    command = ["train", "a.yaml", "--data", str(folder), "-o", "run", "--workers", "0"]
    # A file that grows beyond the limit is refused as on a full disk; checkpoints alone are that large.
    program = (
        "import resource, sys; size = int(sys.argv.pop(1)); resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))\n"
    )
    program += "from tintype.cli import main; main()"

    def train(epochs, limit):
        made(tmp_path / "a.yaml", big % epochs)
        line = [sys.executable, "-c", program, str(limit), *command]
        return subprocess.run(line, capture_output=True, text=True, cwd=tmp_path)

    assert train(1, 10**9).returncode == 0
    files = [tmp_path / "run/checkpoints" / name for name in ("last.ckpt", "best.ckpt")]
    before = [file.read_bytes() for file in files]
    assert min(map(len, before)) > 5 * 10**6
    done = train(2, 3 * 10**6)
    assert done.returncode == 1
    said = done.stderr.splitlines()[-1]
    assert (
        said.startswith("error: ")
        and ".ckpt: can't be written: File too large" in said
        and "Traceback" not in done.stderr
    )
    assert [file.read_bytes() for file in files] == before
    assert sorted(p.name for p in files[0].parent.iterdir()) == ["best.ckpt", "last.ckpt"], "no half of one is left"
    done = train(2, 10**9)
    assert done.returncode == 0 and [line.split(":")[0] for line in done.stderr.splitlines()] == ["epoch 2 of 2"]


def test_tints_own_loop_stops_at_a_loss_that_is_no_number(folder, tmp_path):
    plan = TINT | {"learning_rate": 1e30, "phases": [TINT["phases"][0] | {"steps": 50}]}
    with pytest.raises(LossError, match=r"the loss is .* in step \d+; the batch is in .*bad-batch.pt") as error:
        fit.fit(fit.Config.read(made(tmp_path / "t.yaml", plan)), [str(folder)], tmp_path, tmp_path / "cache", workers=0)  # fmt: skip
    assert error.value.exit_code == 1
    assert set(torch.load(tmp_path / "bad-batch.pt", weights_only=True)) == {"luma", "rgb", "topic"}
