"""`tintype models`: what is said of each network is what the network is; and weights come when asked for, or one line says why not."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tintype.cards import CARDS, NETWORKS
from tintype.cli.models import ROWS
from tintype.cli.networks import anatomy, recipe
from tintype.nets.layers import on_paper
from tintype.nets.public import PUBLIC
from tintype.nets.unet import PatchDiscriminator
from tintype.nets.vgg16 import Vgg16Features
from tintype.nets.vgg_gan import VGGDiscriminator
from tintype.train import config, systems

from .conftest import Run

DISCRIMINATORS = {
    "unet-gan": PatchDiscriminator,
    "resnet-gan": PatchDiscriminator,
    "vgg-gan": lambda: VGGDiscriminator(Vgg16Features()),
}


@pytest.fixture
def run(tintype: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command with an empty cache."""
    monkeypatch.setenv("TINTYPE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TINTYPE_OFFLINE", raising=False)
    return tintype


def changed(code: str, *args: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """The command in a process that runs `code` first."""
    command = [sys.executable, "-c", f"import sys; {code}; from tintype.cli import main; main()", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **more)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# --- what they are ----------------------------------------------------------------------------------------------------


def test_what_can_be_trained_is_what_train_knows() -> None:
    trained = {name for name, network in NETWORKS.items() if network.trained}
    assert trained == {*systems.SYSTEMS, "tint"} == {path.stem for path in recipe("plain").parent.glob("*.yaml")}
    assert set(NETWORKS) == trained | set(PUBLIC)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_parameters_are_those_of_the_network_that_is_built(name: str) -> None:
    told = anatomy(name, ROWS)
    if name in PUBLIC or name == "tint":
        built = CARDS[name].parameters
    else:
        nets = [on_paper(lambda: systems.network(config.read(recipe(name))))]
        nets += [on_paper(DISCRIMINATORS[name])] if name in DISCRIMINATORS else []
        built = sum(p.numel() for net in nets for p in net.parameters())
    assert told.parameters == built == sum(layer.parameters for part in told.parts for layer in part.layers)
    assert all(len(part.layers) < 1.3 * ROWS for part in told.parts), "it fits on a screen"


def test_documented_systems_are_as_documented() -> None:
    auto, plain = anatomy("autoencoder"), anatomy("plain")
    assert anatomy("tint").input == "luma in [0, 1], 256x256 pixels or other multiples of 32; and hints"
    assert auto.parameters == 3_431_811 and "32x32 pixels and no other" in auto.input
    assert plain.output == "classes: logits of colour classes, 56x56x313"
    assert "multiples of 8" in plain.input and plain.options["output"] == "classes (or ab)"
    assert [part.title for part in anatomy("resnet-gan", ROWS).parts] == ["generator", "classifier", "discriminator"]


def test_show(run: Run) -> None:
    told = json.loads(run("models", "show", "vgg16", "--json").stdout)
    assert told["sha256"] == CARDS["vgg16"].sha256
    (part,) = told["network"]["parts"]
    assert sum(layer["parameters"] for layer in part["layers"]) == told["network"]["parameters"] == 138_357_544
    text = run("models", "show", "eccv16").stdout
    assert "BSD-2-Clause" in text and "model8.6" in text and text.splitlines()[-1].split()[-1] == "32,236,011"


def test_without_torch_cards_are_shown_and_the_rest_says_what_to_install() -> None:
    hidden = "sys.modules['torch'] = None"
    done = changed(hidden, "models", "show", "tint")
    assert done.returncode == 0 and CARDS["tint"].sha256 in done.stdout
    assert "tintype[train]" in done.stderr and len(done.stderr.splitlines()) == 1
    done = changed(hidden, "models", "show", "koala")
    assert done.returncode == 3 and done.stdout == ""
    assert "tintype[train]" in done.stderr and len(done.stderr.splitlines()) == 1
    assert "koala" in changed(hidden, "models", "list").stdout


def test_unknown_names(run: Run) -> None:
    for verb in ("show", "get", "verify"):
        done = run("models", verb, "vgg_16")
        assert done.returncode == 2 and "did you mean vgg16?" in done.stderr and len(done.stderr.splitlines()) == 1
    assert run("models", "get", "koala").returncode == 2


def test_nothing_is_fetched_unasked(tmp_path: Path) -> None:
    alone = "import socket; socket.socket.connect = lambda *a: sys.exit('connected')"
    environment = {**os.environ, "TINTYPE_HOME": str(tmp_path)}
    for args in (("list",), ("verify",), ("show", "vgg16"), ("verify", "vgg16")):
        done = changed(alone, "models", *args, env=environment)
        assert "connected" not in done.stderr and done.returncode == (3 if args == ("verify", "vgg16") else 0)
    assert files(tmp_path) == []


# --- getting them -----------------------------------------------------------------------------------------------------


def test_getting_weights(server: Any, tmp_path: Path) -> None:
    path = tmp_path / "weights" / CARDS["vgg16"].file
    card = f"sha256={hashlib.sha256(server.body).hexdigest()!r}, url={server.url('/good')!r}, size=0"
    code = (
        "import dataclasses; from tintype.cards import CARDS;"
        f"CARDS['vgg16'] = dataclasses.replace(CARDS['vgg16'], {card})"
    )
    environment = {**os.environ, "TINTYPE_HOME": str(tmp_path)}
    without_torch = f"sys.modules['torch'] = None; {code}"
    done = changed(without_torch, "models", "get", "vgg16", env=environment)
    assert (done.returncode, done.stdout) == (0, f"{path}\n") and path.read_bytes() == server.body
    assert "300,000 bytes" in done.stderr and "tintype[train]" in done.stderr
    assert "whole" in changed(without_torch, "models", "verify", env=environment).stdout.splitlines()[-1]
    assert "in the cache" in changed(without_torch, "models", "list", env=environment).stdout
    done = changed(code, "models", "get", "vgg16", "--quiet", env=environment)
    assert done.returncode == 3 and "is damaged" in done.stderr and len(done.stderr.splitlines()) == 1
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("name", "path", "told"),
    [
        ("eccv16", "/missing", "404"),
        ("eccv16", "/good", "another file"),
        ("inception-resnet-v2", "/good", "sha256"),
        ("inception-resnet-v2", "/short", "broke off"),
        ("eccv16", "", "can't be reached"),
    ],
)
def test_weights_that_cannot_be_had(run: Run, server: Any, tmp_path: Path, name: str, path: str, told: str) -> None:
    url = server.url(path) if path else "http://127.0.0.1:9/closed"
    done = run("models", "get", name, "--from", url, "--quiet")
    assert done.returncode == 3 and done.stdout == ""
    assert done.stderr.startswith("error: ") and told in done.stderr and len(done.stderr.splitlines()) == 1
    part = f"cache/weights/{CARDS[name].file}.part"
    assert files(tmp_path) == ([part] if path == "/short" else [])


def test_a_full_disk(run: Run, server: Any, tmp_path: Path) -> None:
    get = ("models", "get", "inception-resnet-v2", "--from", server.url("/good"), "-q", "-o", "there")
    done = run(*get, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)))
    assert done.returncode == 3 and "free some space" in done.stderr and len(done.stderr.splitlines()) == 1
    assert files(tmp_path) == [f"there/{CARDS['inception-resnet-v2'].file}.part"]


def test_what_is_in_the_package_needs_no_getting(run: Run) -> None:
    done = run("models", "get", "tint")
    assert done.returncode == 0 and done.stdout.strip().endswith("tint.onnx") and done.stderr == ""
