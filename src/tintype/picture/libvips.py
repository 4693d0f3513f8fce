"""How libvips is set for all that use it."""

from __future__ import annotations

import logging

import pyvips


def prepare() -> None:
    """Before each use; cheap, and the same every time.

    No cache of operations: files are never asked for twice, so it would only hold their memory, and it would serve old
    contents where a file was replaced. No decoder's warnings on stderr where nobody listens: errors are exceptions.
    """
    pyvips.cache_set_max(0)
    logger = logging.getLogger("pyvips")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
