"""Tintype's own feature network: its sizes, what it sees of colour, and its file."""

import pytest
import torch
from safetensors.torch import save_file

from tintype.cards import CARDS
from tintype.errors import ModelError
from tintype.nets.features import DIMENSION, SIDE, Features, load
from tintype.nets.layers import on_paper
from tintype.weights import verified


def test_it_is_small():
    net = on_paper(Features)
    assert sum(p.numel() for p in net.parameters()) == 2_455_840
    assert 4 * sum(value.numel() for value in net.state_dict().values()) < 10e6


def test_sizes():
    net, rgb = on_paper(Features), torch.empty(2, 3, SIDE, SIDE + 16, device="meta")
    assert net(rgb).shape == (2, DIMENSION)
    shapes = [tuple(stage.shape[1:]) for stage in net.stages(rgb)]
    assert shapes == [(32, 72, 80), (32, 36, 40), (64, 18, 20), (128, 9, 10), (224, 5, 5)]
    assert net(torch.empty(1, 3, 32, 32, device="meta")).shape == (1, DIMENSION)


def test_pictures_do_not_see_each_other():
    torch.manual_seed(0)
    net, rgb = Features().eval(), torch.rand(3, 3, 48, 48)
    with torch.inference_mode():
        together = net(rgb)
        alone = torch.cat([net(one[None]) for one in rgb])
    assert torch.allclose(together, alone, atol=1e-5) and together.min() >= 0


def test_a_file_gives_the_network_back(tmp_path):
    torch.manual_seed(0)
    net, rgb = Features().eval(), torch.rand(1, 3, 64, 64)
    save_file(net.state_dict(), tmp_path / "a.safetensors")
    again = load(tmp_path / "a.safetensors")
    with torch.inference_mode():
        assert torch.equal(again(rgb), net(rgb))
    assert not again.training and not any(p.requires_grad for p in again.parameters())


def test_damage_and_other_networks_are_refused(tmp_path):
    whole = tmp_path / "a.safetensors"
    save_file({"x": torch.zeros(3)}, whole)
    (tmp_path / "b.safetensors").write_bytes(whole.read_bytes()[:-4])
    (tmp_path / "c.safetensors").write_bytes(b"")
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(ModelError, match="no weights of Tintype's features") as error:
            load(path)
        assert "\n" not in str(error.value)


def test_the_embedded_weights_have_learned():
    net = load(verified(CARDS["features"]))
    assert CARDS["features"].parameters == sum(p.numel() for p in net.parameters())
    means = [value for name, value in net.state_dict().items() if name.endswith("running_mean")]
    assert all(mean.abs().max() > 0 for mean in means), "norms that have seen no picture"
    assert all(value.isfinite().all() for value in net.state_dict().values())
