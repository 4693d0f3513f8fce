"""A web server on this machine, with the faults that downloads meet; and how far to search for what breaks a property."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import settings

# The same commit is tested in the same way each time, however slow the machine. pytest --hypothesis-profile search looks further.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=5000)
settings.load_profile("same")


class Server:
    """Serves `body`; `asked` notes the Range of each request.

    /good goes on from where a Range says, /whole takes no notice of it, /short closes the connection half way, /stuck falls silent
    there; all else is missing.
    """

    def __init__(self) -> None:
        self.body = random.Random(0).randbytes(300_000)
        self.asked: list[str | None] = []
        self.over = threading.Event()
        self.port = 0

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The server at work."""
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted, size = self.headers.get("Range"), len(state.body)
            state.asked.append(wanted)
            if self.path not in ("/good", "/whole", "/short", "/stuck"):
                self.send_error(404)
                return
            start = int(re.findall(r"\d+", wanted)[0]) if wanted and self.path == "/good" else 0
            if start >= size:
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
            self.send_header("Content-Length", str(size - start))
            self.end_headers()
            self.wfile.write(state.body[start : size // 2 if self.path in ("/short", "/stuck") else None])
            if self.path == "/stuck":
                state.over.wait(10)

        def log_message(self, *arguments: object) -> None:
            pass

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        state.port = serving.server_port
        threading.Thread(target=serving.serve_forever, args=(0.02,), daemon=True).start()
        yield state
        state.over.set()
        serving.shutdown()
