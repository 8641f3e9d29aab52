# SPDX-License-Identifier: Apache-2.0
"""Asks the programs that read our datasets, in the environment that scripts/foreign.sh makes for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import refused_contacts

_HERE = Path(__file__).resolve().parent
_ENVIRONMENT = _HERE.parents[1] / ".venv-foreign"
_PYTHON = _ENVIRONMENT / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def ask(script: str, *arguments: str | Path, **variables: str | Path) -> dict[str, Any]:
    """Run a script of this folder there, and give what it prints on its last line, a JSON object.

    Args:
        script: File name.
        arguments: What it is called with.
        variables: Added to its environment.
    """
    if not (_ENVIRONMENT / ".installed").is_file():
        pytest.skip(f"{_ENVIRONMENT.name} is not there: scripts/foreign.sh makes it")
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    # They must not contact anybody either: ultralytics looks for a connection and for new versions.
    ours |= {"PYTHONPATH": str(refused_contacts.FOLDER), "YOLO_OFFLINE": "true", "HF_HUB_OFFLINE": "1"}
    ran = subprocess.run(
        [_PYTHON, _HERE / script, *arguments],
        env={**ours, **{name: str(value) for name, value in variables.items()}},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-5000:]
    answer: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return answer
