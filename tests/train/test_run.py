"""Runs: every system learns, leaves its folder, and goes on to the same numbers after being killed."""

import csv
import re
import signal
import subprocess
import sys
import time

import pytest
import torch

from tintype.errors import UsageError
from tintype.nets.inception_resnet_v2 import InceptionResnetV2
from tintype.train import config, run, systems

TINY = {
    "autoencoder": "net: {width: 0.1, code: 32}\nphases: [{epochs: 3, size: 32, batch: 8}]",
    "plain": "net: {width: 0.05}\nphases: [{epochs: 3, size: 32, batch: 8, area: [0.3, 1.0]}]",
    "residual": "net: {width: 0.05, output: ab}\nphases: [{epochs: 3, size: 32, batch: 8}]",
    "koala": "net: {width: 0.05}\nphases: [{epochs: 3, size: 32, batch: 8}]",
    "koala-fusion": "net: {width: 0.05}\nphases: [{epochs: 3, size: 32, batch: 2}]",
    "vgg-gan": "net: {width: 0.05, blocks: 1, widths: [256, 512]}\nloss: {width: 0.05}\nphases: [{epochs: 3, size: 64, batch: 2}]",
    "resnet-gan": "net: {width: 0.05}\nloss: {width: 0.05}\nphases: [{epochs: 3, size: 32, batch: 2}]",
    "unet": "net: {width: 0.05, widths: [64, 128, 256]}\nphases: [{epochs: 3, size: 32, batch: 8}]",
    "unet-gan": "net: {width: 0.05, widths: [64, 128, 256]}\nloss: {width: 0.05}\nphases: [{epochs: 3, size: 32, batch: 8}]",
}


HERE = run.Hardware(workers=0)


@pytest.fixture(scope="module")
def few(folder, tmp_path_factory):
    """A dozen of them, for what is slow."""
    where = tmp_path_factory.mktemp("few")
    for path in sorted(folder.glob("*.png"))[::5]:
        (where / path.name).write_bytes(path.read_bytes())
    return where


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """A file of weights for Inception-ResNet-v2, random ones."""
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save(InceptionResnetV2().state_dict(), path)
    return path


def made(name, tmp_path, more=""):
    path = tmp_path / f"{name}.yaml"
    path.write_text(f"system: {name}\n{TINY[name]}\n{more}")
    return path


def metrics(where):
    with (where / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_there_is_a_small_run_for_every_system():
    assert set(TINY) == set(systems.SYSTEMS)


@pytest.mark.parametrize("name", TINY)
def test_every_system_learns_and_leaves_its_folder(name, folder, few, classifier, tmp_path, tmp_path_factory):
    where = tmp_path / "run"
    rate = 0.0005 if name == "vgg-gan" else 0.003
    more = f"optimizer: {{learning_rate: {rate}}}\nema: 0.9\nsteps_per_epoch: 8"
    fused = systems.SYSTEMS[name].backbone == "inception-resnet-v2"
    if fused:
        more += f"\nbackbone: {classifier}"
    chosen = config.read(made(name, tmp_path, more))
    cache = tmp_path_factory.getbasetemp() / "views" if fused else None
    run.run(chosen, [str(few if fused else folder)], where, cache=cache, hardware=HERE)
    rows = metrics(where)
    assert [int(r["epoch"]) for r in rows] == [0, 1, 2]
    assert [float(r["rate"]) for r in rows] == [rate] * 3
    error = "train/mae" if name.endswith("-gan") else "train/loss"
    assert float(rows[-1][error]) < float(rows[0][error])
    assert config.read(where / "config.yaml") == chosen
    for left in ("environment.json", "curves.png", "grids/002.png", "checkpoints/last.ckpt", "checkpoints/best.ckpt"):
        assert (where / left).exists(), left
    assert list((where / "tensorboard").glob("events*"))


def test_a_killed_run_goes_on_to_the_same_numbers(folder, tmp_path):
    file = made("autoencoder", tmp_path, "spoil: 0.5\nema: 0.9\nsteps_per_epoch: 30\nschedule: {name: cosine}")
    file.write_text(file.read_text().replace("width: 0.1", "width: 0.1, dropout: 0.2"))
    chosen = config.read(file)
    run.run(chosen, [str(folder)], tmp_path / "whole", hardware=HERE)

    program = (
        "import sys; from pathlib import Path; from tintype.train import config, run\n"
        "if __name__ == '__main__': run.run(config.read(Path(sys.argv[1])), [sys.argv[2]], Path(sys.argv[3]), hardware=run.Hardware(workers=0))"
    )
    script = tmp_path / "train.py"
    script.write_text(program)
    killed = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, script, file, folder, killed], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while process.poll() is None and not (killed / "metrics.csv").exists():
        time.sleep(0.01)
    time.sleep(0.1)  # into the next epoch
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 1 <= len(metrics(killed)) < 3, "it was to be killed in the middle"

    run.run(chosen, [str(folder)], killed, hardware=HERE)
    for mine, theirs in zip(metrics(killed), metrics(tmp_path / "whole"), strict=True):
        for key in mine:
            if key not in ("seconds", "idle") and mine[key]:
                assert float(mine[key]) == pytest.approx(float(theirs[key]), rel=1e-6), key


@pytest.mark.parametrize("name", ["one-cycle", "cosine"])
def test_a_schedule_spans_phases_of_different_lengths(name, folder, tmp_path):
    path = made("koala", tmp_path, f"schedule: {{name: {name}, floor: 0.1}}\noptimizer: {{learning_rate: 0.01}}")
    path.write_text(re.sub("phases: .*", "phases: [{epochs: 1, size: 32, batch: 20}, {epochs: 2, size: 40, batch: 4}]", path.read_text()))  # fmt: skip
    run.run(config.read(path), [str(folder)], tmp_path / "run", hardware=HERE)
    rates = [float(r["rate"]) for r in metrics(tmp_path / "run")]
    assert rates[-1] == pytest.approx(0.001) and max(rates) > 0.003, "the end of the run is the end of the schedule"


def test_an_adversarial_pair_waits_for_no_plateau(folder, tmp_path):
    chosen = config.read(made("unet-gan", tmp_path, "schedule: {name: plateau}"))
    with pytest.raises(UsageError, match=r"unet-gan .* another schedule"):
        run.run(chosen, [str(folder)], tmp_path / "run", hardware=HERE)


def test_wrong_configs_are_refused_by_file_line_and_key(tmp_path):
    path = tmp_path / "x.yaml"
    for text, expected in {
        "system: plain\nphases: [{epochs: 1, size: 32, batch: 8}]\nlerning: 3": r"x.yaml:3: unknown key lerning",
        "system: plain\nphases: [{epochs: 1, size: 32, batsch: 8}]": r"x.yaml:2: unknown key batsch; did you mean batch\?",
        "system: plain": r"x.yaml:1: the key phases is missing",
        "system: plain\nphases: []": r"phases is empty",
        "system: plain\nphases: [{epochs: many, size: 32, batch: 8}]": r"x.yaml:2: epochs is 'many' instead of a whole number",
        "system: [": r"is not YAML",
        "system: plain\nphases: [{epochs: 1, size: 32, batch: 8}]\nschedule: {name: cosin}": r"x.yaml:3: name is 'cosin'; known: .*cosine",
    }.items():
        path.write_text(text)
        with pytest.raises(UsageError, match=expected):
            config.read(path)


def test_unknown_systems_and_arguments_name_the_nearest(tmp_path):
    def refused(text):
        (tmp_path / "x.yaml").write_text(text)
        with pytest.raises(UsageError) as error:
            systems.network(config.read(tmp_path / "x.yaml"))
        return str(error.value)

    phases = "\nphases: [{epochs: 1, size: 32, batch: 8}]\n"
    assert "did you mean plain?" in refused("system: plane" + phases)
    assert "did you mean width?" in refused("system: plain" + phases + "net: {widht: 1}")
    assert "output is" in refused("system: autoencoder" + phases + "net: {output: xyz}")


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_batch(folder, tmp_path):
    chosen = config.read(made("koala", tmp_path, "optimizer: {name: sgd, learning_rate: 1.0e+30}"))
    with pytest.raises(FloatingPointError, match="bad-batch"):
        run.run(chosen, [str(folder)], tmp_path / "run", hardware=HERE)
    assert set(torch.load(tmp_path / "run/bad-batch.pt", weights_only=True)) == {"luma", "rgb", "topic"}


@pytest.mark.parametrize("what", ["nowhere", "empty", "one"])
def test_no_pictures_is_an_error_in_one_line(what, folder, tmp_path):
    where = tmp_path / "data"
    if what != "nowhere":
        where.mkdir()
    if what == "one":
        (where / "a.png").write_bytes(next(folder.glob("*.png")).read_bytes())
    with pytest.raises(UsageError):
        run.run(config.read(made("koala", tmp_path)), [str(where)], tmp_path / "run", hardware=HERE)
