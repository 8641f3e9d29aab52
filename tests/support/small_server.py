# SPDX-License-Identifier: Apache-2.0
"""A web server on this machine with one file, that can be told to behave badly; it ends with the block."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Server:
    """What is served, and how.

    Attributes:
        content: The file.
        etag: Its tag; empty: none is sent.
        ranges: Whether parts are sent.
        cut_after: Bytes of an answer after which the connection is closed; None: never.
        status: Answer to everything, where not 0.
        shift: Bytes by which a part begins too late.
        length: Whether the length is told.
        asked: Range of each request.
        url: Address of the file.
    """

    content: bytes
    etag: str = '"one"'
    ranges: bool = True
    cut_after: int | None = None
    status: int = 0
    shift: int = 0
    length: bool = True
    asked: list[str] = field(default_factory=list)
    url: str = ""


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            server.asked.append(wanted)
            if server.status:
                self.send_error(server.status)
                return
            start, total = 0, len(server.content)
            found = re.fullmatch(r"bytes=(\d+)-", wanted)
            same = self.headers.get("If-Range", server.etag) == server.etag
            if found and server.ranges and same:
                start = int(found[1]) + server.shift
                if start >= total:
                    self.send_error(416)
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            else:
                self.send_response(200)
            self._send(server.content[start:])

        def _send(self, body: bytes) -> None:
            if server.length:
                self.send_header("Content-Length", str(len(body)))
            if server.etag:
                self.send_header("ETag", server.etag)
            self.end_headers()
            with suppress(ConnectionError):  # the other side has heard enough
                self.wfile.write(body[: server.cut_after])

        def log_message(self, *parts: object) -> None:
            """Nothing is told."""

    return Handler


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(server)) as listening:
        listening.daemon_threads = True
        server.url = f"http://127.0.0.1:{listening.server_address[1]}/file.bin"
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown()
            thread.join(5)
