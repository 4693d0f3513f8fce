"""Runs: every system learns, leaves its folder, and goes on to the same numbers after being killed."""

import csv
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from filelock import FileLock

from tintype.errors import ModelError, UsageError
from tintype.nets.inception_resnet_v2 import InceptionResnetV2
from tintype.nets.vgg16 import Vgg16Features
from tintype.train import config, devices, export, run, systems

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
PRECISION = "bfloat16" if devices.has_bfloat16("cpu") else "float32"


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


def assert_same(where, other):
    """The numbers of two runs."""
    for mine, theirs in zip(metrics(where), metrics(other), strict=True):
        for key in mine:
            if key not in ("seconds", "idle") and mine[key]:
                assert float(mine[key]) == pytest.approx(float(theirs[key]), rel=1e-6), key


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
    error = "train/mae" if "train/mae" in rows[0] else "train/loss"
    assert float(rows[-1][error]) < float(rows[0][error])
    assert config.read(where / "config.yaml") == replace(chosen, precision=PRECISION)
    for left in ("environment.json", "curves.png", "grids/002.png", "checkpoints/last.ckpt", "checkpoints/best.ckpt"):
        assert (where / left).exists(), left
    assert list((where / "tensorboard").glob("events*"))
    assert torch.load(where / "checkpoints/last.ckpt", weights_only=True)["epoch"] == 2


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
    assert_same(killed, tmp_path / "whole")


@pytest.mark.parametrize("name", ["autoencoder", "unet-gan"])
def test_a_run_in_two_parts_is_as_one_in_a_piece(name, folder, tmp_path):
    """A plateau counts bad epochs, an adversarial pair has two of everything: both must be remembered."""
    more = {
        "autoencoder": "schedule: {name: plateau, patience: 1, factor: 0.7}\noptimizer: {learning_rate: 0.03}\nspoil: 0.5",
        "unet-gan": "schedule: {name: cosine}\nsteps_per_epoch: 4",
    }
    chosen = config.read(made(name, tmp_path, more[name])).within(8)
    run.run(chosen, [str(folder)], tmp_path / "whole", hardware=HERE)
    if name == "autoencoder":
        rates = [float(r["rate"]) for r in metrics(tmp_path / "whole")]
        assert rates[0] > rates[-1], "the test needs a run that meets a plateau"
        parts = range(1, 9)
    else:
        parts = range(8, 9)  # its cosine depends on the end
        script = "import sys; from pathlib import Path; from tintype.train import config, run\nrun.run(config.read(Path(sys.argv[1])), [sys.argv[2]], Path(sys.argv[3]), hardware=run.Hardware(workers=0), say=lambda line: sys.exit(9) if line.startswith('epoch 3') else None)"
        path = tmp_path / "eight.yaml"
        path.write_text(config.written(chosen))
        ended = subprocess.run([sys.executable, "-c", script, path, folder, tmp_path / "parts"], capture_output=True)
        assert ended.returncode == 9 and len(metrics(tmp_path / "parts")) == 3
    for epochs in parts:
        run.run(chosen.within(epochs), [str(folder)], tmp_path / "parts", hardware=HERE)
    assert_same(tmp_path / "parts", tmp_path / "whole")


def test_the_last_checkpoint_is_the_last_and_the_best_the_best(folder, tmp_path):
    chosen = config.read(made("koala", tmp_path, "optimizer: {name: sgd, learning_rate: 0.0}"))
    run.run(chosen, [str(folder)], tmp_path / "run", hardware=HERE)
    epochs = {
        name: torch.load(tmp_path / f"run/checkpoints/{name}.ckpt", weights_only=True)["epoch"]
        for name in ("best", "last")
    }
    assert epochs == {"best": 0, "last": 2}, "with a rate of 0 nothing gets better"
    before = metrics(tmp_path / "run")
    run.run(chosen, [str(folder)], tmp_path / "run", hardware=HERE)
    assert metrics(tmp_path / "run") == before, "nothing was left to do"


def test_without_a_better_loss_a_run_stops_and_stays_stopped(folder, tmp_path):
    chosen = config.read(made("koala", tmp_path, "optimizer: {name: sgd, learning_rate: 0.0}\nstop_after: 1"))
    said = []
    for _ in range(2):
        run.run(chosen, [str(folder)], tmp_path / "run", hardware=HERE, say=said.append)
        assert len(metrics(tmp_path / "run")) == 2
    assert said[-1].startswith("stopped before") and len(said) == 3


@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_penalties_make_kernels_small_and_clipping_steps(penalty, folder, tmp_path):
    def sizes(name, more):
        chosen = config.read(made("koala", tmp_path, f"optimizer: {{name: sgd, learning_rate: 0.01}}\n{more}")).within(
            1
        )
        run.run(chosen, [str(folder)], tmp_path / name, cache=tmp_path / "cache", hardware=HERE)
        net, _ = export.of_run(tmp_path / name)
        return torch.cat([p.detach().flatten() for p in net.parameters() if p.ndim > 1])

    start = torch.cat([p.detach().flatten() for p in systems.network(config.read(made("koala", tmp_path))).parameters() if p.ndim > 1])  # fmt: skip
    free, held = sizes("free", ""), sizes("held", f"{penalty}: 0.1")
    assert held.abs().sum() < 0.99 * free.abs().sum()
    assert 0 < (sizes("clipped", "clip: 1.0e-3") - start).norm() < 0.2 * (free - start).norm()


def test_half_the_digits_are_enough_to_learn(folder, tmp_path):
    chosen = config.read(made("koala", tmp_path, "precision: bfloat16"))
    run.run(chosen, [str(folder)], tmp_path / "run", hardware=HERE)
    rows = metrics(tmp_path / "run")
    assert float(rows[-1]["train/loss"]) < float(rows[0]["train/loss"])


def test_a_frozen_backbone_stays_as_it_was_and_travels_in_the_checkpoint(folder, tmp_path):
    weights = tmp_path / "vgg.pth"
    torch.save(Vgg16Features().state_dict(), weights)
    chosen = config.read(made("vgg-gan", tmp_path, f"backbone: {weights}\nsteps_per_epoch: 2")).within(1)
    run.run(chosen, [str(folder)], tmp_path / "run", hardware=HERE)
    kernel = torch.load(weights, weights_only=True)["features.0.weight"]
    weights.unlink()
    net, _ = export.of_run(tmp_path / "run")
    assert torch.equal(net.features.backbone.features[0].weight, kernel)


def test_what_is_held_out_by_name_is_drawn_from_all_of_it(folder, tmp_path):
    chosen = replace(config.read(made("koala", tmp_path)), validation_most=7)
    found = run.prepare(chosen, [str(folder)], tmp_path / "cache", validation=[str(folder)])
    assert len(found.held_rows) == 7 and found.held_rows.max() > 30 and len(np.unique(found.held_rows)) == 7


def test_a_folder_holds_one_run_and_one_process_writes_to_it(folder, tmp_path):
    chosen = config.read(made("koala", tmp_path)).within(1)
    with FileLock(tmp_path / "lock"), pytest.raises(UsageError, match="another process trains there"):
        run.run(chosen, [str(folder)], tmp_path, hardware=HERE)
    run.run(chosen, [str(folder)], tmp_path, hardware=HERE)
    other = "float32" if PRECISION == "bfloat16" else "bfloat16"
    with pytest.raises(UsageError, match=r"another config \(precision\)"):
        run.run(replace(chosen, precision=other), [str(folder)], tmp_path, hardware=HERE)
    with pytest.raises(UsageError, match=r"another config \(loss, seed\)"):
        run.run(replace(chosen, seed=1, loss={"name": "mae"}), [str(folder)], tmp_path, hardware=HERE)


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
        "system: plain\nphases:\n- {epochs: 1, size: 32, batch: 0}": r"x.yaml:3: batch is 0; expected 1 or more",
        "system: plain\nphases: [{epochs: 1, size: 32, batch: 8}]\nvalidation: 1.0": r"validation is 1.0; expected a share",
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
    assert "x.yaml:3: net: unknown key widht" in refused("system: plain" + phases + "net: {widht: 1}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("system: koala\nphases: [{epochs: 1, size: 30, batch: 8}]", "crops of 30 pixels; expected a multiple of 8"),
        ("system: autoencoder\nphases: [{epochs: 1, size: 64, batch: 8}]", "crops of 64 pixels; expected 32"),
        ("system: vgg-gan\nphases: [{epochs: 1, size: 100, batch: 8}]", "100"),
        (
            "system: vgg-gan\nphases: [{epochs: 1, size: 64, batch: 8}, {epochs: 1, size: 128, batch: 8}]",
            "crops of 128 pixels; expected 64",
        ),
        (
            "system: koala\nphases: [{epochs: 1, size: 32, batch: 8}]\nloss: {name: cross_entropy}",
            "no loss 'cross_entropy'",
        ),
        ("system: koala\nphases: [{epochs: 1, size: 32, batch: 8}]\nloss: {name: bce}", "no loss 'bce'"),
        ("system: unet-gan\nphases: [{epochs: 1, size: 128, batch: 8}]\nnet: {output: chroma}", "is shown ab"),
        ("system: plain\nphases: [{epochs: 1, size: 32, batch: 8}]\nloss: {name: mse}", "no loss 'mse'"),
        ("system: plain\nphases: [{epochs: 1, size: 32, batch: 8}]\nloss: {lambda: 0}", "lambda is 0"),
        (
            "system: plain\nphases: [{epochs: 1, size: 32, batch: 8}]\nloss: {lamda: 1}",
            r"x\.yaml:3: loss: unknown key lamda; did you mean lambda\?",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_any_picture_is_read(text, words, tmp_path):
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(UsageError, match=words):
        run.run(config.read(tmp_path / "x.yaml"), ["nowhere"], tmp_path / "run", hardware=HERE)
    assert not (tmp_path / "run").exists()


def test_another_networks_weights_are_no_backbone(folder, tmp_path):
    torch.save({"conv.weight": torch.zeros(3)}, tmp_path / "other.pth")
    chosen = config.read(made("koala-fusion", tmp_path, f"backbone: {tmp_path / 'other.pth'}"))
    with pytest.raises(ModelError, match=r"other\.pth: holds no weights of inception-resnet-v2"):
        run.run(chosen, [str(folder)], tmp_path / "run", hardware=HERE)


@pytest.mark.parametrize("name", systems.SYSTEMS)
def test_at_its_full_width_every_system_passes_a_gradient_to_all_that_learns(name, tmp_path):
    size = {"autoencoder": 32, "unet": 128, "unet-gan": 128}.get(name, 64)
    text = f"system: {name}\nphases: [{{epochs: 1, size: {size}, batch: 2}}]"
    (tmp_path / "x.yaml").write_text(text + ("\nnet: {seen: 96}" if systems.SYSTEMS[name].views else ""))
    task = systems.task(config.read(tmp_path / "x.yaml"))
    rng = np.random.default_rng(0)
    batch = {
        "luma": torch.rand(2, 1, size, size),
        "rgb": torch.from_numpy(rng.integers(0, 256, (2, 3, size, size), np.uint8)),
    }
    loss, _ = task.loss(batch)
    loss.backward()
    gradients = {n: p.grad for n, p in task.net.named_parameters() if p.requires_grad}
    assert gradients and all(g is not None and torch.isfinite(g).all() for g in gradients.values())
    assert all(g.abs().max() > 0 for n, g in gradients.items() if n.endswith("weight") and g.ndim > 1)


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
