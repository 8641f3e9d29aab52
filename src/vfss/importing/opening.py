# SPDX-License-Identifier: Apache-2.0
"""Open a source of foreign masks of any supported kind."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path

from vfss.errors import DatasetError
from vfss.importing.files import entries_of
from vfss.importing.formats.coco import COCO
from vfss.importing.formats.cvat import CVAT
from vfss.importing.formats.datumaro import DATUMARO
from vfss.importing.formats.dicom_seg import DICOM_SEG
from vfss.importing.formats.nifti import NIFTI
from vfss.importing.formats.nnunet import NNUNET
from vfss.importing.formats.png import PNG
from vfss.importing.formats.yolo import YOLO
from vfss.importing.source import ForeignMasks, SourceKind, SourceOptions

SOURCES: dict[str, SourceKind] = {
    "coco": COCO,
    "nnunet": NNUNET,
    "dicom-seg": DICOM_SEG,
    "cvat": CVAT,
    "datumaro": DATUMARO,
    "yolo": YOLO,
    "nifti": NIFTI,
    "png": PNG,
}
"""Kinds by name on the command line; PNG is tried last, since the others may contain PNG too."""

_MOST_SUFFIXES = 6
_ARCHIVES = (b"PK\x03\x04", b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!")


def open_source(path: str | Path, name: str | None = None, options: SourceOptions | None = None) -> ForeignMasks:
    """Open masks of another program, or a dataset exported by this one.

    Args:
        path: File or folder.
        name: Kind of source, a key of SOURCES; None: detected from the content.
        options: Options that some kinds need.

    Raises:
        DatasetError: There is no such file, it is of no known kind, or malformed; the message says what was found.
    """
    path, options = Path(path).expanduser(), options or SourceOptions()
    try:
        there = path.exists()
    except (OSError, ValueError):  # e.g. a name longer than any file's
        there = False
    if not there:
        raise DatasetError("there is no such file or folder", path=path, remedy="Check the path.")
    if name is not None:
        if name not in SOURCES:
            raise DatasetError(f"there is no import format {name!r}", remedy=f"Use one of {', '.join(SOURCES)}.")
        return SOURCES[name].open(path, options)
    kind = next((kind for kind in SOURCES.values() if kind.fits(path)), None)
    if kind is None:
        kinds = ", ".join(f"{kind.title} ({name})" for name, kind in SOURCES.items())
        raise DatasetError(
            f"holds no masks that can be imported: it is {_describe(path)}",
            path=path,
            remedy=f"These can be imported: {kinds}.",
        )
    return kind.open(path, options)


def _describe(path: Path) -> str:
    """Describe a file or the entries of a folder."""
    if path.is_file():
        with contextlib.suppress(OSError), path.open("rb") as file:
            if file.read(8).startswith(_ARCHIVES):
                return "an archive: unpack it first"
        return f"a file of {path.stat().st_size} bytes"
    entries = entries_of(path)
    counts = Counter(entry.suffix.lower() or "without suffix" for entry in entries if entry.is_file())
    files = [f"{count} {suffix}" for suffix, count in counts.most_common(_MOST_SUFFIXES)]
    folders = [f"{entry.name}/" for entry in entries if entry.is_dir()][:_MOST_SUFFIXES]
    return f"a folder with {', '.join([*files, *folders]) or 'nothing in it'}"
