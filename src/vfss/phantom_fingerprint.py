# SPDX-License-Identifier: Apache-2.0
"""Which version of the phantom this is. It lies beside the phantom, whose own files are what is hashed."""

from __future__ import annotations

import hashlib
from pathlib import Path


def phantom_source() -> str:
    """Hash of the phantom's source and data: frames of another version are other frames."""
    blake = hashlib.blake2b(digest_size=16)
    for path in sorted((Path(__file__).parent / "phantom").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            blake.update(path.read_bytes())
    return blake.hexdigest()
