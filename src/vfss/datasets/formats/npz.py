# SPDX-License-Identifier: Apache-2.0
"""NumPy: one npz per frame, for training code that needs arrays only.

    frames/<recording>_<frame>.npz    image uint8 or uint16 (H, W), masks bool (S, H, W), states uint8 (S,)
    manifest.json, frames.jsonl       description of the frames; "file_name" is the npz of a frame

`masks[i]` belongs to structure i of the schema in manifest.json; it counts if `states[i]` is a state that was written
("written_states"; the codes are in "state_codes").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from vfss.datasets.files import stem
from vfss.datasets.format import Fields, Format, FrameWriter, Job, Row
from vfss.datasets.selection import AnnotatedFrame
from vfss.datasets.sidecar import write_sidecar
from vfss.masks import MaskState


class NpzWriter(FrameWriter):
    """Writes one file per frame; compression takes little time and removes nearly all of the planes' size."""

    def __init__(self, job: Job) -> None:
        self._folder = job.folder
        (job.folder / "frames").mkdir(exist_ok=True)

    def add(self, frame: AnnotatedFrame, fields: Fields, lost: Counter[str]) -> dict[str, Any]:
        """See Writer.add."""
        name = f"frames/{stem(fields)}.npz"
        np.savez_compressed(self._folder / name, image=frame.pixels, masks=frame.masks.planes, states=frame.masks.state)
        return {"file_name": name}

    def finish(self, manifest: dict[str, Any], rows: Iterable[Row]) -> None:
        """See Writer.finish."""
        codes = {state.label: int(state) for state in MaskState}
        write_sidecar(self._folder, {**manifest, "state_codes": codes}, rows)


NPZ = Format("npz", "NumPy arrays (npz per frame)", NpzWriter, ("frames/: an npz per frame, with picture and masks",))
