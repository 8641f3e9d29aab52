# SPDX-License-Identifier: Apache-2.0
"""What every dataset says of itself: schema, states, authors, splits, students, version and the research wording."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from vfss.datasets.selection import AnnotatedFrame
from vfss.masks import MaskState
from vfss.project import ClipRecord, Project
from vfss.version import __version__

NOTICE = (
    "Research software for annotating recordings and preparing research datasets. Not a medical device; not cleared, "
    "approved or CE-marked; not for diagnosis, treatment decisions or patient management. Masks, events and "
    "measurements are unvalidated proposals to be checked by a qualified person. The user is responsible for ethics "
    "approval, consent, data protection and de-identification."
)

STATES = {
    MaskState.UNSEEN: "nothing is known: not annotated, which is not the same as absent",
    MaskState.PROPOSED: "a student's proposal that no person confirmed",
    MaskState.EDITED: "corrected by a person, not accepted yet",
    MaskState.ACCEPTED: "a person confirmed the plane as it is",
    MaskState.EMPTY: "a person confirmed that there is nothing of it on this frame",
    MaskState.NOT_VISIBLE: "a person said that it cannot be seen here: nothing is known of its pixels",
}

LAYOUT = 1
"""Version of the fields below."""


class Manifest:
    """Gathers what the written frames have in common while an export goes on."""

    def __init__(self, project: Project, *, include_edited: bool) -> None:
        self._project = project
        self._include_edited = include_edited
        self._clips: dict[str, dict[str, Any]] = {}
        self._authors: set[str] = set()
        self._students: set[str] = set()
        self._patients: dict[str, str] = {}
        self.structures: Counter[str] = Counter({key: 0 for key in project.schema.keys})
        self.splits: Counter[str] = Counter({"train": 0, "validation": 0, "test": 0})

    @property
    def images(self) -> int:
        """Frames written so far."""
        return self.splits.total()

    @property
    def patients(self) -> int:
        """Patients among them."""
        return len(self._patients)

    def add(self, frame: AnnotatedFrame) -> dict[str, Any]:
        """Count a frame in; gives the fields that describe it, the same in every format."""
        clip = self._clip(frame.record)
        written = [s.key for s in self._project.schema.structures if frame.written[s.index]]
        self.structures.update(written)
        self.splits[clip["split"]] += 1
        for key in written:
            revision = frame.revisions[key]
            self._authors.add(revision.author)
            if revision.student is not None:
                self._students.add(revision.student)
        return {
            "file_name": f"images/{stem(frame)}.png",
            "height": frame.record.height,
            "width": frame.record.width,
            "clip": frame.record.id,
            "frame": frame.frame,
            "time_s": frame.time_s,
            "patient": clip["patient"],
            "split": clip["split"],
            "states": {
                s.key: MaskState(int(frame.masks.state[s.index])).label for s in self._project.schema.structures
            },
            "provenance": {key: _provenance(frame, key) for key in self._project.schema.keys if key in frame.revisions},
        }

    def _clip(self, record: ClipRecord) -> dict[str, Any]:
        if record.id not in self._clips:
            patient = pseudonym(self._project.id, record.patient)
            self._patients[patient] = self._project.split(record.patient)
            self._clips[record.id] = {
                "patient": patient,
                "split": self._patients[patient],
                "n_frames": record.n_frames,
                "height": record.height,
                "width": record.width,
                "bits": record.bits,
                "facing": record.facing,
                "inverted": record.inverted,
                "swallows": [[swallow.first, swallow.last] for swallow in record.swallows],
            }
        return self._clips[record.id]

    def to_dict(self, left_out: Mapping[str, int]) -> dict[str, Any]:
        """Plain data for JSON, without file names, paths or names of patients."""
        return {
            "layout": LAYOUT,
            "tool": "napari-vfss",
            "tool_version": __version__,
            "exported": datetime.now(UTC).isoformat(timespec="seconds"),
            "notice": NOTICE,
            "schema": self._project.schema.to_dict(),
            "states": {state.label: words for state, words in STATES.items()},
            "written_states": [s.label for s in MaskState if s.is_truth or self._edited_too(s)],
            "authors": sorted(self._authors),
            "students": sorted(self._students),
            "splits": {
                split: sorted(p for p, its_split in self._patients.items() if its_split == split)
                for split in self.splits
            },
            "clips": self._clips,
            "frames": self.images,
            "planes": dict(self.structures),
            "left_out": dict(left_out),
        }

    def _edited_too(self, state: MaskState) -> bool:
        return self._include_edited and state is MaskState.EDITED


def stem(frame: AnnotatedFrame) -> str:
    """File name of a frame without suffix: content id of the clip and frame index."""
    return f"{frame.record.id}_{frame.frame:06d}"


def pseudonym(project_id: str, patient: str) -> str:
    """Name of a patient in exports: the same in every export of one project, and telling nothing.

    The project's id is random and never exported, so that nobody outside can test names against pseudonyms.
    """
    return hashlib.blake2b(f"{project_id}\0{patient}".encode(), digest_size=6).hexdigest()


def _provenance(frame: AnnotatedFrame, key: str) -> dict[str, Any]:
    revision = frame.revisions[key]
    return {
        "author": revision.author,
        "time": revision.time.isoformat(),
        "origin": revision.origin,
        "student": revision.student,
    }
