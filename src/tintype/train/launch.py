"""Several processes train together on this machine: start them, and end them all when one ends badly.

It knows nothing of what they do. They find each other by the variables that torch.distributed reads.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence

from tintype.errors import TintypeError

#: How often the processes are looked at, in seconds.
_LOOK = 0.1
#: Set for processes that `together` started.
_TOGETHER = "TINTYPE_TOGETHER"


def together(command: Sequence[str], count: int, environment: Mapping[str, str]) -> int:
    """Run `command` `count` times at once and wait for all. The first exit code that is not 0, or 0; who ends with one has said why.

    Raises TintypeError where one is killed. However this ends, none of them goes on (if this process is killed, none that called
    `end_with_parent`): what they write is whole at any time.
    """
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "WORLD_SIZE": str(count), "NODE_RANK": "0"}
    known = {**environment, **meeting, _TOGETHER: "1"}
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for rank in range(count):
            theirs = {**known, "LOCAL_RANK": str(rank)}
            processes.append(subprocess.Popen(command, env=theirs, stdin=subprocess.PIPE))
        codes = [process.poll() for process in processes]
        while None in codes and not any(codes):
            time.sleep(_LOOK)
            codes = [process.poll() for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    for rank, code in enumerate(codes):
        if code is not None and code < 0:
            raise TintypeError(
                f"process {rank} of {count} was killed ({signal.Signals(-code).name}) and the run stopped; "
                "the same command goes on from its last whole epoch"
            )
    return next((code for code in codes if code), 0)


def end_with_parent() -> None:
    """In a process that `together` started: from now on, end where the one that started it is gone, even if that was killed. Elsewhere: nothing."""
    if os.environ.get(_TOGETHER):
        threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # nothing is ever written: the read returns when the other end is gone
    os._exit(1)


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
