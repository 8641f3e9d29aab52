# SPDX-License-Identifier: Apache-2.0
"""A trainer that is imported once and forked for each run: starting a process that imports torch takes ten seconds.

`python warm_trainer.py serve SOCKET` listens; `python warm_trainer.py run SOCKET ARGUMENTS...` behaves as
`python -m vfss_training.cli ARGUMENTS...`: output, signals and exit status are those of the forked process, which is
killed when its client is.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import sys
import traceback

LARGEST = 1 << 20
"""Bytes of a request at most."""


def serve(path: str) -> None:
    """Import the trainer, then fork for each client until killed."""
    import vfss_training.cli.app
    import vfss_training.clip_adaptation.project_clip
    import vfss_training.studies.fit  # noqa: F401

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(path)
        listener.listen()
        print("ready", flush=True)  # noqa: T201
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _attend(connection)
            connection.close()


def _attend(connection: socket.socket) -> None:
    """Run one request in a process of its own: forward signals to it, kill it with its client, report how it ended."""
    message, descriptors, _, _ = socket.recv_fds(connection, LARGEST, 3)
    process = os.fork()
    if process == 0:
        connection.close()
        _become(json.loads(message), descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            connection.send(str(os.waitstatus_to_exitcode(status)).encode())
            os._exit(0)
        if select.select([connection], [], [], 0.02)[0]:
            number = connection.recv(16)
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, int(number) if number else signal.SIGKILL)
            if not number:
                os._exit(0)


def _become(request: dict[str, object], descriptors: list[int]) -> None:
    """Be the trainer: this process's streams, folder and environment are the client's."""
    from vfss_training.cli.app import main

    for target, descriptor in enumerate(descriptors):
        os.dup2(descriptor, target)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.argv = ["vfss-train", *request["arguments"]]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - the border of a process
        traceback.print_exc()
        code = 1
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run(path: str, arguments: list[str]) -> int:
    """Have a run made for this process; returns its exit status, negative for a signal."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(path)
        request = {"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}  # noqa: PTH109
        socket.send_fds(connection, [json.dumps(request).encode()], [0, 1, 2])
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda received, _: connection.send(str(int(received)).encode()))
        return int(connection.recv(16) or b"1")


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    ended = run(sys.argv[2], sys.argv[3:])
    if ended < 0:
        signal.signal(-ended, signal.SIG_DFL)
        os.kill(os.getpid(), -ended)
    sys.exit(ended)
