"""One file over the network, with all that can go wrong on the way."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tintype.download import address, fetch
from tintype.errors import ModelError, UsageError

from .conftest import Server


def ignore(done: int, total: int) -> None:
    """No progress."""


def test_a_file_arrives_and_progress_is_told(server: Server, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    assert not fetch(server.url("/good"), tmp_path / "new" / "a", lambda *step: told.append(step))
    assert (tmp_path / "new" / "a").read_bytes() == server.body
    size = len(server.body)
    assert told[0] == (0, size) and told[-1] == (size, size) and told == sorted(told) and len(told) > 2


def test_what_broke_off_goes_on_from_there(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "a"
    with pytest.raises(ModelError, match=r"broke off after .* same command") as told:
        fetch(server.url("/short"), path, ignore)
    assert "\n" not in str(told.value)
    half = len(server.body) // 2
    assert path.read_bytes() == server.body[:half]
    assert fetch(server.url("/good"), path, ignore)
    assert path.read_bytes() == server.body
    assert server.asked == [None, f"bytes={half}-"]


def test_ctrl_c_keeps_what_has_arrived(server: Server, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(server.url("/good"), tmp_path / "a", interrupt)
    kept = (tmp_path / "a").read_bytes()
    assert 0 < len(kept) < len(server.body) and server.body.startswith(kept)
    fetch(server.url("/good"), tmp_path / "a", ignore)
    assert (tmp_path / "a").read_bytes() == server.body


@pytest.mark.parametrize("longer", [False, True])
def test_a_server_that_knows_no_ranges_begins_anew(server: Server, tmp_path: Path, longer: bool) -> None:
    (tmp_path / "a").write_bytes(b"?" * (400_000 if longer else 1000))
    assert not fetch(server.url("/whole"), tmp_path / "a", ignore)
    assert (tmp_path / "a").read_bytes() == server.body


def test_nothing_is_left_to_fetch(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(server.body)
    assert fetch(server.url("/good"), tmp_path / "a", ignore)
    assert (tmp_path / "a").read_bytes() == server.body


def test_a_silent_server_is_given_up(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"broke off .*timed out"):
        fetch(server.url("/stuck"), tmp_path / "a", ignore, timeout=0.3)


def test_another_file_is_seen_by_its_size(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="another file"):
        fetch(server.url("/good"), tmp_path / "a", ignore, size=7)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("http://127.0.0.1:9/a", "can't be reached: Connection refused"),
        ("http://no such host/a", "can't be reached"),
        ("file:///no/such/file", "No such file"),
    ],
)
def test_out_of_reach(url: str, cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(ModelError, match=cause) as told:
        fetch(url, tmp_path / "a", ignore)
    assert "\n" not in str(told.value) and not (tmp_path / "a").exists()


def test_missing(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"404 Not Found; .*--from"):
        fetch(server.url("/missing"), tmp_path / "a", ignore)
    assert not (tmp_path / "a").exists()


def test_no_room(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(ModelError, match="300,000 bytes are needed and 1,000 bytes free"):
        fetch(server.url("/good"), tmp_path / "a", ignore)


def test_a_folder_that_is_a_file(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match="can't be written"):
        fetch(server.url("/good"), tmp_path / "file" / "a", ignore)


def test_addresses(tmp_path: Path) -> None:
    assert address("https://example.org/a b") == "https://example.org/a b"
    assert address(str(tmp_path / "a b")) == (tmp_path / "a b").as_uri()
    for impossible in ("ftp://example.org/a", "https:///a", "http://[/a", "data://x"):
        with pytest.raises(UsageError, match="no address"):
            address(impossible)
