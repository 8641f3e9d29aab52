# SPDX-License-Identifier: Apache-2.0
"""A local web server with one file and configurable faults, for the duration of a `with` block."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Server:
    """Settings of the server and the requests it received.

    Attributes:
        content: Content of the file.
        etag: ETag header; empty: none is sent.
        ranges: Whether range requests are answered with a part.
        cut_after: Bytes of a response after which the connection is closed; None: never.
        status: HTTP status of every response; 0: the normal one.
        shift: Bytes by which a part starts too late.
        length: Whether Content-Length is sent; a text: what it says.
        location: Address that every response sends on to; empty: none.
        requests: Range header of each request.
        url: Address of the file.
    """

    content: bytes
    etag: str = '"one"'
    ranges: bool = True
    cut_after: int | None = None
    status: int = 0
    shift: int = 0
    length: bool | str = True
    location: str = ""
    requests: list[str] = field(default_factory=list)
    url: str = ""


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requested = self.headers.get("Range", "")
            server.requests.append(requested)
            if server.location:
                self.send_response(302)
                self.send_header("Location", server.location)
                self.end_headers()
                return
            if server.status:
                self.send_error(server.status)
                return
            start, total = 0, len(server.content)
            part = re.fullmatch(r"bytes=(\d+)-", requested)
            unchanged = self.headers.get("If-Range", server.etag) == server.etag
            if part and server.ranges and unchanged:
                start = int(part[1]) + server.shift
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
                self.send_header("Content-Length", str(len(body)) if server.length is True else server.length)
            if server.etag:
                self.send_header("ETag", server.etag)
            self.end_headers()
            with suppress(ConnectionError):  # the client has closed the connection
                self.wfile.write(body[: server.cut_after])

        def log_message(self, *parts: object) -> None:
            """Log nothing."""

    return Handler


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Serve the file on a free port; set the server's `url`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(server)) as http_server:
        http_server.daemon_threads = True
        server.url = f"http://127.0.0.1:{http_server.server_address[1]}/file.bin"
        thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            http_server.shutdown()
            thread.join(5)
