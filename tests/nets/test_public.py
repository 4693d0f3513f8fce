"""Files of public weights are held against the networks that they are for."""

from functools import partial

import pytest
import torch

from tintype.cards import CARDS
from tintype.errors import ModelError
from tintype.nets import public
from tintype.nets.layers import on_paper
from tintype.nets.plain import Plain


@pytest.fixture
def small(monkeypatch):
    """Plain, thin, in the place of eccv16; its state dict."""
    monkeypatch.setitem(public.PUBLIC, "eccv16", public.Public(partial(Plain, width=0.05), 224))
    return Plain(width=0.05).state_dict()


def test_its_own_weights_are_taken(small, tmp_path):
    torch.save(small, tmp_path / "a.pth")
    public.check("eccv16", tmp_path / "a.pth")
    torch.save(small, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    public.check("eccv16", tmp_path / "old.pth")


def test_a_tensor_missing_too_many_or_of_another_shape_is_refused(small, tmp_path):
    name = "model5.2.weight"
    more, other = small | {"extra.weight": torch.zeros(1)}, small | {name: torch.zeros(1, 2, 3, 3)}
    less = {k: v for k, v in small.items() if k != name}
    for state, told in ((less, name), (more, "extra.weight"), (other, name), ([1], "tensors by name"), ({}, "Missing")):
        torch.save(state, tmp_path / "a.pth")
        with pytest.raises(ModelError, match=told) as error:
            public.check("eccv16", tmp_path / "a.pth")
        assert "\n" not in str(error.value)


class Code:
    """What must not run when weights are read."""

    def __reduce__(self):
        return print, ("ran",)


def test_code_and_damage_are_refused(small, tmp_path, capsys):
    torch.save(small | {"code": Code()}, tmp_path / "a.pth")
    with pytest.raises(ModelError, match="a program instead of numbers"):
        public.check("eccv16", tmp_path / "a.pth")
    assert "ran" not in capsys.readouterr().out
    torch.save(small, tmp_path / "a.pth")
    for damaged in (b"", b"<html>", (tmp_path / "a.pth").read_bytes()[:5000]):
        (tmp_path / "b.pth").write_bytes(damaged)
        with pytest.raises(ModelError) as error:
            public.check("eccv16", tmp_path / "b.pth")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", public.PUBLIC)
def test_cards_count_what_the_networks_have(name):
    assert CARDS[name].parameters == sum(p.numel() for p in on_paper(public.PUBLIC[name].build).parameters())
    assert set(public.PUBLIC) == {n for n, card in CARDS.items() if card.url}
