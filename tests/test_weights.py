"""Public weights: whole and as their card says under their name, or not there at all."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest

from tintype import weights
from tintype.cards import CARDS, NETWORKS, Card
from tintype.errors import ModelError, UsageError

from .conftest import Server


def ignore(done: int, total: int) -> None:
    """No progress."""


@pytest.fixture
def card(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Card:
    """A card of what the server has, and an empty cache."""
    monkeypatch.setenv("TINTYPE_HOME", str(tmp_path))
    monkeypatch.delenv("TINTYPE_OFFLINE", raising=False)
    return Card("toy", "toy.pth", hashlib.sha256(server.body).hexdigest(), 0, "none", "none", server.url("/good"))


def here(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("weights/*"))


def test_fetched_once(card: Card, server: Server, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="tintype models get toy"):
        weights.verified(card)
    path = weights.get(card, ignore)
    assert path == tmp_path / "weights" / "toy.pth" == weights.verified(card) and path.read_bytes() == server.body
    assert weights.get(card, ignore) == path and len(server.asked) == 1
    assert here(tmp_path) == ["toy.pth"]


def test_a_damaged_file_is_found_and_fetched_again(card: Card, server: Server) -> None:
    path = weights.get(card, ignore)
    path.write_bytes(b"damaged")
    with pytest.raises(ModelError, match="damaged"):
        weights.verified(card)
    assert weights.get(card, ignore).read_bytes() == server.body


def test_an_interrupted_one_is_not_under_its_name(card: Card, server: Server, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="broke off"):
        weights.get(card, ignore, origin=server.url("/short"))
    assert here(tmp_path) == ["toy.pth.part"]
    assert weights.get(card, ignore).read_bytes() == server.body
    assert server.asked[-1] == f"bytes={len(server.body) // 2}-" and here(tmp_path) == ["toy.pth"]


def test_a_part_of_something_else_is_thrown_away(card: Card, server: Server, tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "toy.pth.part").write_bytes(b"?" * 1000)
    assert weights.get(card, ignore).read_bytes() == server.body
    assert server.asked == ["bytes=1000-", None] and here(tmp_path) == ["toy.pth"]


def test_a_wrong_hash_leaves_nothing(card: Card, server: Server, tmp_path: Path) -> None:
    wrong = dataclasses.replace(card, sha256="0" * 64)
    with pytest.raises(ModelError, match="another file or damaged") as told:
        weights.get(wrong, ignore)
    assert here(tmp_path) == [] and "\n" not in str(told.value)


def test_from_a_file_into_a_folder(card: Card, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINTYPE_OFFLINE", "1")
    (tmp_path / "mine").write_bytes(server.body)
    path = weights.get(card, ignore, origin=str(tmp_path / "mine"), folder=tmp_path / "there")
    assert path == tmp_path / "there" / "toy.pth" and path.read_bytes() == server.body
    assert server.asked == [] and here(tmp_path) == []


def test_offline_means_offline(card: Card, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINTYPE_OFFLINE", "1")
    with pytest.raises(ModelError, match="TINTYPE_OFFLINE"):
        weights.get(card, ignore)
    assert server.asked == []


def test_impossible_origins(card: Card) -> None:
    with pytest.raises(UsageError):
        weights.get(card, ignore, origin="gopher://example.org/toy.pth")


def test_the_cache_is_where_it_is_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("TINTYPE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert weights.cache_folder() == tmp_path / ".cache" / "tintype"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert weights.cache_folder() == tmp_path / "xdg" / "tintype"
    monkeypatch.setenv("TINTYPE_HOME", str(tmp_path / "mine"))
    assert weights.cache_folder() == tmp_path / "mine"


def test_weights_are_named_by_card_or_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINTYPE_HOME", str(tmp_path))
    assert weights.named("tint") == weights.verified(CARDS["tint"])
    (tmp_path / "mine.pth").touch()
    assert weights.named(str(tmp_path / "mine.pth")) == tmp_path / "mine.pth"
    with pytest.raises(ModelError, match="tintype models get vgg16"):
        weights.named("vgg16")
    with pytest.raises(ModelError, match=r"no file .* known: .*vgg16"):
        weights.named("vgg17")


@pytest.mark.parametrize("name", [name for name, card in CARDS.items() if card.url])
def test_public_cards_are_complete(name: str) -> None:
    card = CARDS[name]
    assert card.name == name and name in NETWORKS and card.source.startswith("https://") and card.licence
    assert card.url.startswith("https://") and len(bytes.fromhex(card.sha256)) == 32
    assert card.sha256[:8] in card.file, "files of different content have different names"
