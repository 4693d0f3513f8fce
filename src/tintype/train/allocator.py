"""How training wants memory to be handed out."""

from __future__ import annotations

import os
from collections.abc import Sequence

#: glibc gives every freed activation back to the kernel by default; the page faults then cost ten times the arithmetic.
ALLOCATOR = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "20000000000", "MALLOC_TOP_PAD_": "268435456"}


def with_allocator(argv: Sequence[str]) -> None:
    """Start this process again under ALLOCATOR, unless it already runs so (glibc reads these only at start)."""
    if os.environ.get("MALLOC_MMAP_MAX_") != ALLOCATOR["MALLOC_MMAP_MAX_"]:
        os.execvpe(argv[0], list(argv), {**os.environ, **ALLOCATOR})
