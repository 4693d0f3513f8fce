"""What is compared: colorizers by name, ONNX files, runs of `tintype train`, colour transfer, folders of results made elsewhere."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePath
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tintype.cards import CARDS
from tintype.colorizer import Colorizer
from tintype.errors import PictureError, UsageError, suggestion
from tintype.methods import METHODS
from tintype.methods.method import Decode, Options
from tintype.methods.transfer import Transfer
from tintype.picture.color import luma_of
from tintype.train.cache import decoded, rgb_of
from tintype.train.sources import PICTURES, members, places
from tintype.weights import sha256_of

RGB = NDArray[np.uint8]

Kind = Literal["method", "run", "transfer", "folder"]

#: Reference pictures that colour transfer chooses from.
REFERENCES = 200
#: Their short side in pixels.
_REFERENCE_SHORT = 160
_TRANSFER = "welsh:"


@dataclass(frozen=True)
class Candidate:
    """One colorizer to compare: its `name` in tables, and `what` it is: a method's name, a file, a folder or a place of reference pictures.

    `sha256`: of the file that colours, or of what changes when a folder's files do; "" where there is none.
    """

    name: str
    what: str
    kind: Kind
    decode: Decode = "annealed"
    sha256: str = ""


@dataclass(frozen=True)
class Sample:
    """A picture to colour: its `name` for messages, its `key` in folders of results, and the original `rgb` (H, W, 3)."""

    name: str
    key: str
    rgb: RGB


#: Takes a sample's luma, never its colours, and gives the coloured picture (H, W, 3). Raises TintypeError where it can't.
Colour = Callable[[Sample], RGB]


def candidate(text: str) -> Candidate:
    """The candidate that `[LABEL=]WHAT[@DECODE]` says. Raises UsageError where there is none, ModelError for an ONNX file that is missing.

    WHAT is a method's name, a path ending in .onnx, `welsh:PICTURES`, the folder of a run, or a folder of results.
    """
    label, what = _parted(text)
    at = re.fullmatch(r"(.+)@(\w+)", what)
    decode: Decode = "annealed"
    if at and not os.path.lexists(what):
        what = at[1]
        decode = _decode(text, at[2])
    kind = _kind(what)
    return Candidate(label or _named(what, kind, decode), what, kind, decode, _fingerprint(what, kind))


def results_in(text: str) -> Candidate:
    """The folder of results that `[LABEL=]FOLDER` says, whatever method has that name. Raises UsageError where there is none."""
    label, what = _parted(text)
    if not Path(what).is_dir():
        raise UsageError(f"{text}: there is no such folder; evaluate compares methods")
    return Candidate(
        label or _named(what, "folder", "annealed"), what, "folder", "annealed", _fingerprint(what, "folder")
    )


def _named(what: str, kind: Kind, decode: Decode) -> str:
    """A candidate's name where it is given none."""
    if kind == "transfer":
        return "welsh"
    name = what if what in METHODS else Path(what).resolve().name.removesuffix(".onnx")
    return name if decode == "annealed" else f"{name} {decode}"


def _fingerprint(what: str, kind: Kind) -> str:
    """What changes when its files do: an evaluation that goes on must not take new ones for the old."""
    if kind == "method":
        card = CARDS.get(what)
        return sha256_of(Path(what)) if what.endswith(".onnx") else card.sha256 if card else ""
    if kind == "transfer":
        found = [[place.path, place.key] for place in places(what.removeprefix(_TRANSFER))]
    elif kind == "folder":
        files = sorted(p for p in Path(what).rglob("*") if p.suffix.lower() in PICTURES)
        found = [[str(p), f"{p.stat().st_size} {p.stat().st_mtime_ns}"] for p in files if p.is_file()]
    else:  # not the exported file's: two exports of one checkpoint differ in their bytes
        checkpoints = (Path(what) / "checkpoints" / "best.ckpt", Path(what) / "checkpoint.pt")
        return next((sha256_of(path) for path in checkpoints if path.is_file()), "")
    return hashlib.sha256(repr(found).encode(errors="backslashreplace")).hexdigest()


def _parted(text: str) -> tuple[str, str]:
    """The label in front of "=", or "", and the rest. A path that is there is one as a whole."""
    label, sign, rest = text.partition("=")
    return (label.strip(), rest) if sign and label.strip() and not os.path.lexists(text) else ("", text)


def _decode(text: str, name: str) -> Decode:
    if name not in get_args(Decode):
        raise UsageError(f"{text}: unknown decode {name}; {suggestion(name, get_args(Decode))}")
    return cast(Decode, name)


def _kind(what: str) -> Kind:
    """What sort of thing it is. Raises UsageError where it is none."""
    if what in METHODS:
        return "method"
    path = Path(what)
    if what.startswith(_TRANSFER):
        if what == _TRANSFER:
            raise UsageError(f"{what} names no reference pictures: {what}PICTURES")
        places(what.removeprefix(_TRANSFER))
        return "transfer"
    if path.is_dir():
        return "run" if (path / "config.yaml").is_file() else "folder"
    if what.endswith(".onnx"):
        if not path.is_file():
            raise UsageError(f"there is no file {what}")
        return "method"
    raise UsageError(
        f"there is no method, file or folder {what!r}; {suggestion(what, METHODS)}, FILE.onnx, the folder of a run or of results, welsh:PICTURES"
    )


def named_apart(candidates: Sequence[Candidate]) -> None:
    """Raises UsageError where two have one name."""
    names = [c.name for c in candidates]
    for name in names:
        if names.count(name) > 1:
            always = ", and grey is always among them" if name == "grey" else ""
            raise UsageError(f"two methods are called {name}{always}: name them apart with LABEL=METHOD")


def exported(one: Candidate, folder: Path) -> Candidate:
    """The candidate itself, or, of a run of `tintype train`, its best network, exported to an ONNX file in `folder`. Raises UsageError where there is none."""
    if one.kind != "run":
        return one
    from tintype.train import config, export  # heavy, and for runs alone

    run, path = Path(one.what), folder / (re.sub(r"[^-.\w]+", "-", one.name) + ".onnx")
    folder.mkdir(parents=True, exist_ok=True)
    if config.system_of(run / "config.yaml") == "tint":
        net = export.load(run)
        export.export_tint(net, path, export.about_tint(net))
    else:
        trained, about = export.of_run(run)
        export.export_colors(trained, path, about)
    return Candidate(one.name, str(path), "method", one.decode, one.sha256)


def colour_of(one: Candidate, seed: int, threads: int | None) -> Colour:
    """How the candidate colours. Raises UsageError and ModelError as Colorizer does."""
    if one.kind == "folder":
        return Results(Path(one.what))
    if one.kind == "transfer":
        colorizer = Colorizer(Transfer(_references(one.what.removeprefix(_TRANSFER)), seed=seed))
    else:
        colorizer = Colorizer(one.what, threads=threads)
    options = Options(decode=one.decode, seed=seed)
    return lambda sample: colorizer.colorize_array(luma_of(sample.rgb), options=options)


def _references(place: str) -> list[RGB]:
    """The first pictures that the place holds."""
    stream = (m for p in places(place) for m in members(p) if not isinstance(m, str))
    found = (pixels for member in stream for pixels in decoded([member], _REFERENCE_SHORT))
    pictures = [picture[0] for picture in islice((f for f in found if not isinstance(f, str)), REFERENCES)]
    if not pictures:
        raise UsageError(f"{place}: no picture there can be decoded")
    return pictures


class Results:
    """A folder of pictures that another program coloured: each is called as its original, or NAME-color, with any ending of a picture.

    They lie in folders below it as the originals do. Of several the one with the original's ending counts.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._paths: dict[str, list[Path]] = {}
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in PICTURES and path.is_file() and not path.name.startswith("."):
                key = path.relative_to(folder).with_suffix("").as_posix()
                self._paths.setdefault(key.removesuffix("-color"), []).append(path)

    def __call__(self, sample: Sample) -> RGB:
        """The result (H, W, 3) for a sample. Raises PictureError where there is none or more than one, or it can't be read or has another size."""
        found = self._paths.get(sample.key.removesuffix("-color"), [])
        same = [p for p in found if p.suffix == PurePath(sample.name).suffix]
        path = next(iter(same or found), None)
        if path is None:
            raise PictureError(self.folder, f"has no result for {sample.name}")
        if len(same or found) > 1:
            raise PictureError(path, f"and {(same or found)[1].name} are both results for {sample.name}")
        try:
            with Image.open(path) as opened:
                rgb = np.asarray(rgb_of(opened))
        except Exception as error:  # a decoder may raise anything on broken data
            raise PictureError(path, f"can't be read: {' '.join(str(error).split())}") from None
        if rgb.shape != sample.rgb.shape:
            (h, w), (height, width) = rgb.shape[:2], sample.rgb.shape[:2]
            raise PictureError(path, f"has {w} x {h} pixels, its original {width} x {height}")
        return rgb
