# SPDX-License-Identifier: Apache-2.0
"""The manifest of a dataset: schema, states, authors, splits, students, version and the research notice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from vfss.datasets.event_table import event_counts
from vfss.datasets.identities import Identities, Identity
from vfss.datasets.options import ExportOptions
from vfss.datasets.recording_facts import remarks_on, remarks_on_frames
from vfss.datasets.selection import AnnotatedFrame
from vfss.masks import MaskState
from vfss.output import NOTICE
from vfss.project import Project
from vfss.version import __version__

STATES = {
    MaskState.UNSEEN: "nothing is known: not annotated, which is not the same as absent",
    MaskState.PROPOSED: "a student's proposal that no person confirmed",
    MaskState.EDITED: "corrected by a person, not accepted yet",
    MaskState.ACCEPTED: "a person confirmed the plane as it is",
    MaskState.EMPTY: "a person confirmed that the structure is absent from this frame",
    MaskState.NOT_VISIBLE: "a person marked it as not visible here: nothing is known of its pixels",
}

NO_LICENCE = "not stated: ask whoever exported the dataset"

LAYOUT = 1
"""Version of the fields below."""


class Manifest:
    """Collects what describes the written frames together, during an export."""

    def __init__(self, project: Project, identities: Identities, options: ExportOptions) -> None:
        self._project = project
        self._identities = identities
        self._options = options
        self._clips: dict[str, dict[str, Any]] = {}
        self._authors: set[str] = set()
        self._students: set[str] = set()
        self._patients: dict[str, str] = {}
        self._written_states = [s.label for s in MaskState if s.is_truth or self._includes_edited(s)]
        self.structures: Counter[str] = Counter({key: 0 for key in project.schema.keys})
        self.splits: Counter[str] = Counter({"train": 0, "validation": 0, "test": 0})
        self.lost: Counter[str] = Counter()
        self._splits = project.clip_splits()

    @property
    def images(self) -> int:
        """Frames written so far."""
        return self.splits.total()

    @property
    def patients(self) -> int:
        """Patients among the frames written so far."""
        return len(self._patients)

    def add_clip(self, identity: Identity, facts: Mapping[str, Any]) -> None:
        """Add a clip's entry to the manifest, with what recording_facts returns of it."""
        record = identity.record
        self._clips[identity.recording] = {
            "patient": identity.case,
            "split": self._splits[record.id],
            "n_frames": record.n_frames,
            "height": identity.height,
            "width": identity.width,
            "bits": record.bits,
            "facing": record.facing,
            "inverted": record.inverted,
            "swallows": [[swallow.first, swallow.last] for swallow in record.swallows],
            **facts,
            "unreadable_frames": [],
            "changed_frames": [],
            **self._review(identity),
        }

    def add_frames(self, identity: Identity, kind: str, frames: Iterable[int]) -> None:
        """Add annotated frames of a clip to its entry.

        Args:
            identity: The clip.
            kind: "unreadable_frames", which are not in the dataset, or "changed_frames", which are decoded otherwise
                than when they were first read.
            frames: Zero-based frame indices.
        """
        known = self._clips[identity.recording]
        known[kind] = sorted({*known[kind], *frames})

    def _review(self, identity: Identity) -> dict[str, Any]:
        review = identity.review
        who = review and {"by": self._identities.author(review.reviewer), "time": review.time.isoformat()}
        return {"pixels_reviewed": identity.reviewed, "review": who, **identity.redaction.to_dict()}

    def describe(self, identity: Identity, frame: AnnotatedFrame) -> dict[str, Any]:
        """Return the fields that describe a frame, the same in every format."""
        structures = self._project.schema.structures
        return {
            "height": identity.height,
            "width": identity.width,
            "clip": identity.recording,
            "frame": frame.frame,
            "time_s": frame.time_s,
            "times_from": frame.times_from,
            "pixel_aspect": frame.pixel_aspect,
            "patient": identity.case,
            "split": self._clips[identity.recording]["split"],
            "states": {s.key: MaskState(int(frame.masks.state[s.index])).label for s in structures},
            "provenance": {s.key: self._provenance(frame, s.key) for s in structures if s.key in frame.revisions},
        }

    def _provenance(self, frame: AnnotatedFrame, key: str) -> dict[str, Any]:
        revision = frame.revisions[key]
        provenance = revision.provenance
        return {
            # A student or the program needs no pseudonym.
            "author": revision.author if revision.origin == "proposal" else self._identities.author(revision.author),
            "time": revision.time.isoformat(),
            "origin": revision.origin,
            "method": provenance.method,
            "source_frame": provenance.source_frame,
            "adapted_frames": None if provenance.adapted_frames is None else list(provenance.adapted_frames),
            "student": provenance.student,
        }

    def count(self, fields: Mapping[str, Any], lost: Mapping[str, int]) -> None:
        """Count a written frame, with its fields from `describe`."""
        written = [key for key, state in fields["states"].items() if state in self._written_states]
        self.structures.update(written)
        self.splits[fields["split"]] += 1
        self._patients[fields["patient"]] = fields["split"]
        self.lost.update(lost)
        for key in written:
            provenance = fields["provenance"][key]
            self._authors.add(provenance["author"])
            if provenance["student"] is not None:
                self._students.add(provenance["student"])

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a user of the dataset must know of its recordings, a sentence each."""
        return (*remarks_on(self._clips.values()), *remarks_on_frames(self._clips))

    def to_dict(
        self, left_out: Mapping[str, int], remarks: Sequence[str], events: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Return plain data for JSON, without file names, paths or names of patients.

        Args:
            left_out: Counts of what is not in the dataset, by reason.
            remarks: What a user of the dataset must know beside the remarks on its recordings, a sentence each.
            events: Events of the recordings, as event_rows returns them.
        """
        return {
            "layout": LAYOUT,
            "tool": "napari-vfss",
            "tool_version": __version__,
            "exported": datetime.now(UTC).isoformat(timespec="seconds"),
            "notice": NOTICE,
            "schema": self._project.schema.to_dict(),
            "states": {state.label: meaning for state, meaning in STATES.items()},
            "written_states": self._written_states,
            "authors": sorted(self._authors),
            "students": sorted(self._students),
            "splits": {
                split: sorted(p for p, its_split in self._patients.items() if its_split == split)
                for split in self.splits
            },
            "licence": self._options.licence or NO_LICENCE,
            "pixels_reviewed": all(clip["pixels_reviewed"] for clip in self._clips.values()),
            "clips": self._clips,
            "frames": self.images,
            "planes": dict(self.structures),
            "events": event_counts(events),
            "left_out": dict(left_out),
            "lost": dict(self.lost),
            "remarks": [*remarks, *self.remarks],
        }

    def _includes_edited(self, state: MaskState) -> bool:
        return self._options.include_edited and state is MaskState.EDITED
