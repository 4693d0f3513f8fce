"""`tintype train` and `export`: what makes no sense is one line before anything is loaded; else only our own lines are said."""

import re
import signal
import subprocess
import sys

import pytest

from tintype.methods import build
from tintype.methods.neural import Neural

TINY = "system: koala\nnet: {width: 0.05}\nphases: [{epochs: %d, size: 32, batch: 16}]\n"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("nonsense",), r"no system 'nonsense'.*autoencoder.*tint.*unet-gan"),
        (("tnit",), "did you mean tint"),
        (("autoencoder", "--workers", "-3"), "--workers is -3; expected 0 or more"),
        (("autoencoder", "--devices", "0"), "--devices is 0; expected 1 or more"),
        (("autoencoder", "--nodes", "0"), "--nodes is 0"),
        (("autoencoder", "--nodes", "2"), "torchrun or srun"),
        (("autoencoder", "--device", "tpu"), "'tpu'.*cpu, cuda"),
        (("autoencoder", "-o", "file"), "file is a file"),
        (("autoencoder", "-o", "file/run"), "file is a file"),
        (("autoencoder", "--cache", "file"), "file is a file"),
        (("tint", "--devices", "2"), "tint trains on one device"),
        (("tint", "--validation", "x"), "tint trains on one device"),
        (("tint", "--epochs", "3"), "tint trains on one device"),
    ],
)
def test_requests_that_make_no_sense(args, words, tmp_path):
    (tmp_path / "file").touch()
    program = "import sys\nfrom tintype.cli import main\ntry: main()\nfinally: print('torch' in sys.modules)"
    command = [sys.executable, "-c", program, "train", "--data", "x", "-o", "run", *args]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == "False\n", "nothing is loaded before"
    assert re.search(words, done.stderr) and len(done.stderr.splitlines()) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("config", "args", "words"),
    [
        (TINY % 1, ("--data", "nowhere"), r"nowhere: holds no .* or does not exist"),
        (TINY % 1, ("--data", "empty"), r"empty: holds no"),
        ("system: koala\nphases: 3\n", ("--data", "empty"), r"x\.yaml:2: phases is not a list"),
        ("net: tint\nseed: 0\n", ("--data", "empty"), r"x\.yaml:1: the key classes is missing"),
        (None, ("--data", "empty"), r"x\.yaml: can't be read"),
    ],
)
def test_wrong_configs_and_data_are_one_line(config, args, words, tintype, tmp_path):
    (tmp_path / "empty").mkdir()
    if config:
        (tmp_path / "x.yaml").write_text(config)
    done = tintype("train", "x.yaml", "-o", "run", *args)
    assert done.returncode == 2 and done.stdout == ""
    assert re.search(words, done.stderr) and len(done.stderr.splitlines()) == 1


def test_a_run_and_an_export_say_nothing_but_our_own_lines(folder, tintype, tmp_path):
    (tmp_path / "k.yaml").write_text(TINY % 2)
    done = tintype("train", "k.yaml", "--data", folder, "-o", "run")
    assert done.returncode == 0 and done.stdout == ""
    lines = done.stderr.splitlines()
    expected = r"epoch {} of 2: train loss [\d.e-]+, validation loss [\d.e-]+, [\d.]+ s"
    assert len(lines) == 2 and all(re.fullmatch(expected.format(k + 1), line) for k, line in enumerate(lines)), lines
    done = tintype("export", "run", "-o", "k.onnx")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "") and (tmp_path / "k.onnx").exists()
    done = tintype("export", "k.onnx", "-o", "k.onnx")
    assert (done.returncode, done.stderr) == (1, "error: k.onnx: exists already (--overwrite replaces it)\n")
    done = tintype("export", "run", "-o", "m.onnx", "--also", "k.onnx")
    assert (
        done.returncode == 2
        and done.stderr == "error: run: --also takes the mean of ONNX files; export each of them first\n"
    )
    done = tintype("export", "k.onnx", "-o", "i.onnx", "--int8", folder, "--gain", "1.5", "--vivid", "0.5")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    built = build(str(tmp_path / "i.onnx"))
    assert isinstance(built, Neural) and (built.gain, built.vivid) == (1.5, 0.5)
    done = tintype("export", "k.onnx", "-o", "none.onnx", "--vivid", "0")
    built = build(str(tmp_path / "none.onnx"))
    assert done.returncode == 0 and isinstance(built, Neural) and built.vivid == 0, "none of it is a choice, too"
    done = tintype("train", "k.yaml", "--data", folder, "-o", "run", "--epochs", "3")
    assert done.returncode == 0 and re.fullmatch(expected.format(3).replace("of 2", "of 3"), done.stderr.strip())


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on files' sizes")
def test_an_export_onto_a_full_disk_leaves_what_was_there(folder, tintype, tmp_path):
    (tmp_path / "k.yaml").write_text(TINY % 1)
    assert tintype("train", "k.yaml", "--data", folder, "-o", "run").returncode == 0
    (tmp_path / "k.onnx").write_text("another's")
    program = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (10**4, 10**4))\nfrom tintype.cli import main; main()"
    command = [sys.executable, "-c", program, "export", "run", "-o", "k.onnx", "--overwrite"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1 and re.fullmatch(r"error: k\.onnx: can't be written: .*\n", done.stderr)
    assert (tmp_path / "k.onnx").read_text() == "another's"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["k.onnx", "k.yaml", "run"]


def test_an_interrupt_is_130(folder, tmp_path):
    (tmp_path / "k.yaml").write_text(TINY % 10000)
    command = [sys.executable, "-m", "tintype", "train", "k.yaml", "--data", str(folder), "-o", "run", "--workers", "0"]
    running = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        # The tests may run in the background of a shell, where interrupts are ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert running.stderr.readline().startswith("epoch 1 of ")
    running.send_signal(signal.SIGINT)
    rest = running.communicate(timeout=120)[1].splitlines()
    assert running.returncode == 130 and all(line.startswith("epoch ") for line in rest), rest
