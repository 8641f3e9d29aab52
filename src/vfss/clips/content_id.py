# SPDX-License-Identifier: Apache-2.0
"""Content ids: a recording is identified by its content, not by its path."""

from __future__ import annotations

import hashlib
from pathlib import Path

from vfss.clips.folders import frame_files
from vfss.errors import ClipError

HASHED_IN_FULL_BYTES = 64 * 2**20
"""Up to this size every byte is hashed; above it the size and evenly spaced blocks, so that opening stays quick."""
BLOCKS = 64
BLOCK_BYTES = 2**18


def content_id(path: str | Path) -> str:
    """Return the id of the recording at `path`: "b2-" and the hexadecimal blake2b (20 bytes) of its content.

    Up to 64 MiB all of the content is hashed; above, its size and 64 evenly spaced blocks including the first and
    the last. Of a folder the names and contents of its frames (pictures or DICOM images) are hashed, in order of names.

    Raises:
        ClipError: The file or folder is missing or unreadable.
    """
    path = Path(path)
    digest = hashlib.blake2b(digest_size=20)
    try:
        if path.is_dir():
            _add_folder(digest, path)
        else:
            _add_file(digest, path, HASHED_IN_FULL_BYTES, BLOCKS)
    except OSError as error:
        raise ClipError(
            f"cannot be read ({error.strerror or error})", path=path, remedy="Check that it exists and may be read."
        ) from error
    return f"b2-{digest.hexdigest()}"


def _add_folder(digest: hashlib.blake2b, folder: Path) -> None:
    files = frame_files(folder)
    sizes = [file.stat().st_size for file in files]
    in_full = sum(sizes) <= HASHED_IN_FULL_BYTES
    sampled = {round(i * (len(files) - 1) / (BLOCKS - 1)) for i in range(BLOCKS)}
    for number, (file, size) in enumerate(zip(files, sizes, strict=True)):
        digest.update(f"{file.name}\0{size}\0".encode(errors="surrogateescape"))
        if in_full:
            _add_file(digest, file, HASHED_IN_FULL_BYTES, BLOCKS)
        elif number in sampled:
            _add_file(digest, file, 4 * BLOCK_BYTES, 4)


def _add_file(digest: hashlib.blake2b, file: Path, in_full_bytes: int, blocks: int) -> None:
    size = file.stat().st_size
    with file.open("rb") as stream:
        if size <= in_full_bytes:
            while block := stream.read(BLOCK_BYTES):
                digest.update(block)
            return
        digest.update(f"sampled {size}\0".encode())
        for i in range(blocks):
            stream.seek(i * (size - BLOCK_BYTES) // (blocks - 1))
            digest.update(stream.read(BLOCK_BYTES))
