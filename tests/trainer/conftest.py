# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the trainer's tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

WARM_TRAINER = Path(__file__).resolve().parents[1] / "support" / "warm_trainer.py"


@pytest.fixture(scope="session")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Command of a trainer process that starts at once: it is forked from one that has imported everything."""
    if not hasattr(os, "fork") or sys.platform == "darwin":
        yield [sys.executable, "-m", "vfss_training.cli"]
        return
    path = str(tmp_path_factory.mktemp("trainer") / "socket")
    with subprocess.Popen([sys.executable, str(WARM_TRAINER), "serve", path], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        yield [sys.executable, "-S", str(WARM_TRAINER), "run", path]
        server.kill()
