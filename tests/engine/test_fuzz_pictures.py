# SPDX-License-Identifier: Apache-2.0
"""A short run over files that claim what is not so; the long one is tests/support/fuzz.py."""

from __future__ import annotations

import contextlib
from itertools import islice
from pathlib import Path

import numpy as np

from fuzz_pictures import cases, write
from fuzz_subjects import read_in_two_orders
from vfss.errors import VfssError


def test_claims_are_refused_or_read_and_frames_depend_on_nothing_else(tmp_path: Path) -> None:
    read = 0
    for number, (name, content) in enumerate(islice(cases(18), 80)):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = write(folder, name, content)
        with contextlib.suppress(VfssError):
            read_in_two_orders(path, np.random.default_rng(number))
            read += 1
    assert 20 < read < 70  # neither all sound nor all nonsense
