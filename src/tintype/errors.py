"""Everything Tintype raises on purpose.

TintypeError
├── UsageError            the request itself makes no sense                       exit 2
│   └── HintsError        these hints can't be followed by this method            exit 2
├── PictureError          a picture can't be read; names file, cause, remedy      exit 1
│   ├── TruncatedError    it ends too early (`allow_truncated` reads it anyway)   exit 1
│   └── DamagedError      samples in the middle of it are lost (as above)         exit 1
├── SaveError             a result can't be written                               exit 1
├── LimitError            a limit was exceeded (pixels)                           exit 4
├── LossError             in train/guard.py: a loss that is no number             exit 1
└── ModelError            weights or an optional part are missing or not as sealed exit 3
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from os import PathLike, strerror

_REMEDIES = {
    errno.EACCES: "check its permissions",
    errno.EPERM: "check its permissions",
    errno.ENOTDIR: "a part of its path is a file",
    errno.EEXIST: "a part of its path is a file",
    errno.ENOENT: "check the name and the folder",
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EFBIG: "files can't be so large here",
    errno.EROFS: "choose another folder: this one can only be read",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "its links go round in a circle",
    errno.EMFILE: "try --jobs 1",
    errno.EIO: "check the disk",
}


class TintypeError(Exception):
    """Base of all. `exit_code` is what the command line returns for it; the text is one line."""

    exit_code = 1


class UsageError(TintypeError):
    """The request itself makes no sense."""

    exit_code = 2


class HintsError(UsageError):
    """These hints can't be followed by this method."""


class _FileError(TintypeError):
    """An error about one file: `path`, `cause` and `remedy` ("" where there is none), joined to one line."""

    def __init__(self, path: str | PathLike[str], cause: str, remedy: str = "") -> None:
        self.path, self.cause, self.remedy = str(path), cause, remedy
        super().__init__(f"{self.path}: {cause}" + (f" ({remedy})" if remedy else ""))

    def __reduce__(self) -> tuple[type[_FileError], tuple[str, str, str]]:
        """From what it was made of, so that it can come from another process."""
        return type(self), (self.path, self.cause, self.remedy)


class PictureError(_FileError):
    """A picture can't be read."""


class TruncatedError(PictureError):
    """A picture ends too early."""


class DamagedError(PictureError):
    """Samples of a picture are lost, although it doesn't end too early."""


class SaveError(_FileError):
    """A result can't be written."""


class LimitError(_FileError):
    """A picture exceeds a limit."""

    exit_code = 4


class ModelError(TintypeError):
    """Weights or an optional part are missing, or a file is not what its card says."""

    exit_code = 3


def suggestion(name: str, known: Iterable[str]) -> str:
    """What to say after "unknown": the nearest of the `known` names, if one is near, and all of them."""
    import difflib  # for the errors alone

    names = list(known)
    near = difflib.get_close_matches(name, names, 1)
    return (f"did you mean {near[0]}? " if near else "") + f"known: {', '.join(names)}"


def refusal(error: OSError) -> tuple[str, str]:
    """What the operating system says, and what to do about it."""
    number = error.errno or 0
    return error.strerror or (strerror(number) if number else str(error)), _REMEDIES.get(number, "try another place")
