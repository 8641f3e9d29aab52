# SPDX-License-Identifier: Apache-2.0
"""Files of tensors as PyTorch saves them: loaded without executing anything in them, and within their own size."""

from __future__ import annotations

import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

from vfss.errors import TrainingError

DAMAGED = (
    pickle.UnpicklingError,
    struct.error,
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What torch raises for files that are damaged, or are no files of tensors."""
_MOST_TABLE_BYTES = 1 << 26  # of the pickle that lists the tensors


def load_tensors(path: Path, *, remedy: str, shapes_only: bool = False) -> Any:
    """Return what a file saved by torch.save holds.

    Args:
        path: The file.
        remedy: What to do if it cannot be loaded.
        shapes_only: Whether tensors have no values, so that a large file costs nothing.

    Raises:
        TrainingError: The file is missing, damaged, packed, or holds more than tensors, which would be executed.
    """
    import torch

    try:
        fault = packed_fault(path)
        if fault:
            raise TrainingError(fault, path=path, remedy=remedy)
        return torch.load(path, map_location="meta" if shapes_only else "cpu", weights_only=True)
    except OSError as error:
        raise TrainingError(f"cannot be read ({error.strerror or error})", path=path, remedy=remedy) from error
    except pickle.UnpicklingError as error:
        raise TrainingError(
            "the file is damaged or holds more than tensors, which would be executed; it was not loaded",
            path=path,
            remedy=remedy,
        ) from error
    except DAMAGED as error:
        raise TrainingError(f"not readable as weights ({error})", path=path, remedy=remedy) from error


def packed_fault(path: Path) -> str:
    """Return why the archive of a checkpoint is not as torch writes it, uncompressed; "" if it is, or is no archive.

    A few packed bytes could unpack to more than fits into memory.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            return ""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError, struct.error) as error:
        return f"the archive is damaged ({error})"
    tables = [member for member in members if member.filename.rsplit("/", 1)[-1] == "data.pkl"]
    if len(tables) != 1:
        return f"an archive with {len(tables)} tables of tensors (data.pkl), not a checkpoint of PyTorch"
    packed = [member.filename for member in members if member.compress_type != zipfile.ZIP_STORED]
    if packed or sum(member.file_size for member in members) > path.stat().st_size:
        return "the archive is packed, or claims more bytes than it has, which PyTorch never does"
    return "" if tables[0].file_size <= _MOST_TABLE_BYTES else f"its table has {tables[0].file_size:,} bytes"
