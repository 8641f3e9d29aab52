# SPDX-License-Identifier: Apache-2.0
"""The Patient ID that a DICOM recording states."""

from __future__ import annotations

from pathlib import Path

from vfss.clips.dicom.recognition import HEAD_BYTES, begins_like_dicom
from vfss.clips.folders import dicom_files
from vfss.errors import ClipError


def read_patient_id(recording: Path) -> str | None:
    """Return the Patient ID of a recording; None where it has none, is not DICOM, or cannot be read.

    Args:
        recording: A file, or a folder of single images, of which the first one counts.
    """
    try:
        path = next(iter(dicom_files(recording)), None) if recording.is_dir() else recording
        if path is None:
            return None
        with path.open("rb") as stream:
            if not begins_like_dicom(stream.read(HEAD_BYTES)):
                return None
        from vfss.clips.dicom.header import read_header  # pydicom takes longer to import than the command line

        _, dataset = read_header(path)
        return str(dataset.get("PatientID") or "").strip(" \0") or None
    except (ClipError, OSError, ValueError):  # pydicom raises ValueError for a value that it cannot convert
        return None
