# SPDX-License-Identifier: Apache-2.0
"""De-identification of one recording: DICOM as DICOM, all else as video, verified by reading it back."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vfss.clips import Clip, open_clip
from vfss.clips.opening import is_dicom, is_dicom_series
from vfss.deidentify.dicom import write_dicom
from vfss.deidentify.dicom_output import FrameProgress, has_times
from vfss.deidentify.secondary_capture import write_secondary_capture
from vfss.deidentify.video import SUFFIX, write_video
from vfss.errors import ClipError, DatasetError
from vfss.project.case_key import CaseKey
from vfss.redaction import Redaction


def deidentify_recording(
    clip: Clip,
    folder: Path,
    redaction: Redaction,
    key: CaseKey,
    *,
    patient: str,
    reviewed: bool,
    as_dicom: bool = False,
    progress: FrameProgress | None = None,
) -> Path | None:
    """Write one recording into a folder, named by its recording id: DICOM as DICOM, all else as video or as DICOM too.

    Args:
        clip: The recording, opened from a file or folder.
        folder: An existing folder.
        redaction: What is hidden on all frames.
        key: Source of the ids.
        patient: Pseudonym of the patient in the project.
        reviewed: Whether a person accepted the redaction.
        as_dicom: Write all recordings as DICOM. A folder of DICOM images is always written so, as one file.
        progress: Called after every frame; False cancels.

    Returns:
        The file; None if it was cancelled.

    Raises:
        ClipError: It cannot be read.
        DatasetError: The redaction does not fit, or the written file differs from the recording when read back.
        OSError: The file cannot be written.
    """
    source = clip.source
    dicom = source is not None and is_dicom(source)
    series = source is not None and is_dicom_series(source)
    as_dicom = as_dicom or series
    target = folder / (key.recording(clip.id) + (".dcm" if dicom or as_dicom else SUFFIX))
    try:
        if dicom and source is not None:
            complete = write_dicom(
                clip, source, target, redaction, key, case=key.case(patient), reviewed=reviewed, progress=progress
            )
        elif as_dicom:
            complete = write_secondary_capture(
                clip,
                target,
                redaction,
                key,
                case=key.case(patient),
                reviewed=reviewed,
                inverted=series and clip.inverted,
                progress=progress,
            )
        else:
            complete = write_video(clip, target, redaction, progress)
        if complete:
            _expect_same(clip, target, redaction, times=target.suffix == SUFFIX or has_times(clip))
            return target
    except ClipError:
        target.unlink(missing_ok=True)
        raise
    target.unlink(missing_ok=True)
    return None


def _expect_same(clip: Clip, target: Path, redaction: Redaction, *, times: bool) -> None:
    """Read back the first frame, the last frame and, if they were written, the times, and compare them."""
    with open_clip(target) as written:
        same = written.n_frames == clip.n_frames and (
            not times or np.allclose(written.times_s, clip.times_s, rtol=0, atol=1e-5)
        )
        ends = (0, clip.n_frames - 1)
        if not same or not all(np.array_equal(written[t], redaction.pixels(clip[t])) for t in ends):
            raise DatasetError("the written recording differs when read back", path=target, remedy="Report this.")
