"""README.md's tree and pyproject.toml's promises, held against the files that there are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import tintype

ROOT = Path(__file__).resolve().parent.parent


def listed() -> set[str]:
    """The files of README.md's tree, by their path."""
    tree = (ROOT / "README.md").read_text().split("## What is where")[1].split("```")[1]
    found, folders = set(), [""]
    for line in filter(None, tree.splitlines()):
        depth, name = (len(line) - len(line.lstrip())) // 2, line.split()[0]
        folders = [*folders[: depth + 1], folders[depth] + name]
        found.add(folders[-1])
    return found


@pytest.mark.parametrize("folder", ["src", "configs", "benchmarks", "scripts"])
def test_the_tree_has_a_line_for_each_file(folder: str) -> None:
    there = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix not in (".pyc", ".part")
    }
    lines = {path for path in listed() if path.startswith(f"{folder}/")}
    whole = [path for path in lines if path.endswith("/") and not any(p != path and p.startswith(path) for p in lines)]
    assert all(any(path.startswith(top) for path in there) for top in whole)
    told = {path for path in lines if not path.endswith("/")}
    assert told == {path for path in there if not path.startswith(tuple(whole))}


def test_links_lead_somewhere() -> None:
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "examples" / "README.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert target.startswith("http") or (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_changelog_knows_this_version() -> None:
    assert f"## {tintype.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_base_needs_no_torch() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert not [name for name in project["dependencies"] if "torch" in name or "opencv" in name]


def test_examples_are_few_and_named() -> None:
    pictures = [path for path in (ROOT / "examples").iterdir() if path.suffix != ".md"]
    about = (ROOT / "examples" / "README.md").read_text()
    assert sum(path.stat().st_size for path in pictures) < 4 * 2**20
    assert all(f"| {path.name} |" in about for path in pictures)
