# SPDX-License-Identifier: Apache-2.0
"""open_source: one door for every kind of foreign masks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from vfss.errors import DatasetError
from vfss.importing.files import listed
from vfss.importing.formats.coco import COCO
from vfss.importing.formats.dicom_seg import DICOM_SEG
from vfss.importing.formats.nnunet import NNUNET
from vfss.importing.formats.png import PNG
from vfss.importing.source import ForeignMasks, SourceKind, SourceOptions

SOURCES: dict[str, SourceKind] = {"coco": COCO, "nnunet": NNUNET, "dicom-seg": DICOM_SEG, "png": PNG}
"""By name on the command line; PNG is thought of last, since the others may hold PNG too."""

_MOST_SUFFIXES = 6


def open_source(path: str | Path, name: str | None = None, options: SourceOptions | None = None) -> ForeignMasks:
    """Open masks of another program, or a dataset of ours.

    Args:
        path: File or folder.
        name: Which kind it is, a key of SOURCES; None: told from its content.
        options: What some kinds need to be told.

    Raises:
        DatasetError: There is no such file, it is of no kind, or malformed; the message says what was found.
    """
    path, options = Path(path).expanduser(), options or SourceOptions()
    if not path.exists():
        raise DatasetError("there is no such file or folder", path=path, remedy="Check the path.")
    if name is not None:
        if name not in SOURCES:
            raise DatasetError(f"no format {name!r} can be imported", remedy=f"There are: {', '.join(SOURCES)}.")
        return SOURCES[name].open(path, options)
    kind = next((kind for kind in SOURCES.values() if kind.fits(path)), None)
    if kind is None:
        kinds = ", ".join(f"{kind.title} ({name})" for name, kind in SOURCES.items())
        raise DatasetError(f"holds no masks that can be imported; it is {_seen(path)}", path=path, remedy=f"{kinds}.")
    return kind.open(path, options)


def _seen(path: Path) -> str:
    """What lies there, in words."""
    if path.is_file():
        return f"a file of {path.stat().st_size} bytes"
    entries = listed(path)
    counts = Counter(entry.suffix.lower() or "without suffix" for entry in entries if entry.is_file())
    files = [f"{count} {suffix}" for suffix, count in counts.most_common(_MOST_SUFFIXES)]
    folders = [f"{entry.name}/" for entry in entries if entry.is_dir()][:_MOST_SUFFIXES]
    return f"a folder with {', '.join([*files, *folders]) or 'nothing in it'}"
