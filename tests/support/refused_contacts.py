# SPDX-License-Identifier: Apache-2.0
"""Refuses every contact with another computer, in this process and those it starts, and records that it was tried.

A library may swallow the error, or try in a thread or a process of its own: the record shows it all the same.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

RECORD = "VFSS_CONTACTS"
"""Environment variable that names the file of the record."""
FOLDER = Path(__file__).resolve().parent / "no_contacts"
"""Folder for PYTHONPATH, so that processes refuse contacts from their start."""

_NAME = socket.gethostname()
"""torchrun looks it up."""
_EVENTS = {
    "socket.connect": 1,
    "socket.sendto": 1,
    "socket.sendmsg": 1,
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
    "socket.gethostbyaddr": 0,
    "socket.getnameinfo": 0,
}
"""Position of the address in the arguments of each of Python's audit events."""


def refuse() -> None:
    """Refuse contacts from now on; the record is the file named by the environment variable."""
    record = os.environ.get(RECORD, "")

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _EVENTS and not _is_here(arguments[_EVENTS[event]]):
            stack = "".join(traceback.format_list(traceback.extract_stack()[-12:-1]))
            line = f"{event} {arguments[_EVENTS[event]]!r} in {sys.argv[:3]}\n{stack}\n"
            file = os.open(record, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            os.write(file, line.encode())
            os.close(file)
            raise ConnectionRefusedError(f"tests contact nobody: {line}")

    sys.addaudithook(hook)


def environment(record: Path) -> dict[str, str]:
    """Return the variables for a process that refuses contacts and records them in a file."""
    others = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    path = [str(FOLDER), *(folder for folder in others if folder and folder != str(FOLDER))]
    return {RECORD: str(record), "PYTHONPATH": os.pathsep.join(path)}


def _is_here(address: Any) -> bool:
    """Return whether an address is on this computer: a file, no address at all, the loopback, or its own name."""
    if not isinstance(address, tuple):
        host = address
    elif len(address) < 2 or not isinstance(address[0], str):
        return True  # not of the Internet
    else:
        host = address[0]
    if host is None or isinstance(host, bytes) or host in {"", "localhost", _NAME} or "/" in host or host[0] == "\0":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
