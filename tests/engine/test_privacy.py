# SPDX-License-Identifier: Apache-2.0
"""Nothing leaves the computer: no contact with another one, and no number that would identify it.

tests/conftest.py refuses and records contacts in all tests and the processes they start. Here a process of its own
does what people do, with a home folder in which nothing is yet.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import refused_contacts

SUPPORT = Path(refused_contacts.__file__).parent
CI = ("CI", "GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL", "TRAVIS", "TF_BUILD", "CIRCLECI", "TEAMCITY_VERSION")


def environment(folder: Path) -> dict[str, str]:
    """Return the variables of a process with an empty home, and nothing by which libraries recognise a test."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "PYTEST_", *CI))}
    (folder / "home").mkdir()
    return {**kept, **refused_contacts.environment(folder / "contacts.txt"), "HOME": str(folder / "home")}


def run(folder: Path, *arguments: str | Path) -> tuple[str, str]:
    """Run Python in the home of a folder; return what it printed, and the contacts that were refused."""
    done = subprocess.run(
        [sys.executable, *arguments], env=environment(folder), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    record = folder / "contacts.txt"
    return done.stdout, record.read_text("utf-8") if record.exists() else ""


@pytest.mark.skipif(sys.platform == "win32", reason="HOME is the home folder elsewhere only")
def test_from_recordings_to_datasets_nobody_is_contacted(tmp_path: Path) -> None:
    _, contacts = run(tmp_path, SUPPORT / "every_act.py", tmp_path / "acts")
    assert contacts == ""
    home = tmp_path / "home"
    files = [path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()]
    assert [file for file in files if not file.startswith((".cache/napari-vfss/", ".cache/matplotlib/"))] == []


@pytest.mark.parametrize(
    "contact",
    [
        "import urllib.request; urllib.request.urlopen('http://example.org')",
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'', ('192.0.2.1', 53))",
        "import subprocess, sys; child = 'import socket; socket.gethostbyname(\"a.b\")'; "
        "subprocess.run([sys.executable, '-c', child])",
    ],
)
def test_a_contact_is_refused_and_recorded_even_if_nobody_hears_of_it(tmp_path: Path, contact: str) -> None:
    _, contacts = run(tmp_path, "-c", f"try:\n    {contact}\nexcept OSError:\n    pass")
    assert contacts.startswith("socket.")


def test_this_computer_may_be_contacted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        pass
