# SPDX-License-Identifier: Apache-2.0
"""Describe a plan in sentences and tables, for the command line and for a window."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from vfss.importing.plan import ImportPlan
from vfss.importing.recordings import SourceRecording
from vfss.project import Project
from vfss.wording import count, listed

RECORDING_HEADINGS = ("recording in the files", "images", "clip", "known from")
LABEL_HEADINGS = ("label", "structure", "masks found")
STRUCTURE_HEADINGS = ("structure", "to write", "of them over a proposal", "there already", "protected")
_SHOWN = 8
_ORIGINS: dict[str, str] = {
    "source": "the files themselves",
    "key": "the case key",
    "person": "your choice",
    "left out": "your choice",
    "unknown": "-",
    "absent": "-",
}


def recording_rows(project: Project, recordings: Sequence[SourceRecording]) -> list[tuple[str, str, str, str]]:
    """Return a row per recording of a source: its name, its images, the clip they go to, and who says so."""
    missing = {"left out": "left out, as chosen", "unknown": "not chosen yet", "absent": "not in the project: left out"}
    return [
        (
            recording.title,
            str(len(recording.images)),
            missing[recording.origin] if recording.clip is None else project.clip(recording.clip).path.name,
            _ORIGINS[recording.origin],
        )
        for recording in recordings
    ]


def label_rows(plan: ImportPlan) -> list[tuple[str, str, str]]:
    """Return a row per label of the source: its name, its structure, masks found."""
    rows = []
    for label in plan.source.labels:
        key = plan.labels.structures.get(label.name)
        target = key or ("left out, as chosen" if label.name in plan.labels.skipped else "no structure: left out")
        rows.append((label.name, target, str(plan.mask_counts.get(label.name, 0)) if key else "-"))
    return rows


def structure_rows(plan: ImportPlan) -> list[tuple[str, ...]]:
    """Return a row per structure of the source, in the order of the labels."""
    counts = {
        kind: Counter(key for frame in plan.frames for key in getattr(frame, kind))
        for kind in ("write", "replaced", "same", "protected")
    }
    keys = dict.fromkeys(plan.labels.structures.values())
    return [(key, *(str(counts[kind][key]) for kind in counts)) for key in keys]


def plan_lines(project: Project, plan: ImportPlan) -> list[str]:
    """Describe the plan in sentences: source, matching of frames, masks to write and to keep, problems."""
    masks, frames = sum(plan.counts.values()), sum(1 for frame in plan.frames if frame.write)
    lines = [f"{plan.source.title}: {len(plan.source.images)} images, {len(plan.source.labels)} labels."]
    lines += [f"Frames of {project.clip(clip_id).path.name}: {how}." for clip_id, how in plan.matched_by.items()]
    if plan.placed:
        lines.append(
            f"{count(plan.placed, 'image shows', 'images show')} the part that an export kept: placed back there."
        )
    lines.append(f"To write: {masks} masks on {frames} frames, as proposals that count when a person accepts them.")
    if plan.replaced:
        lines.append(f"They replace {plan.replaced} proposals, which stay in the history.")
    if plan.same:
        lines.append(f"Present already: {plan.same} masks.")
    lines += _protected(project, plan)
    lines += [f"Not imported: {what}: {n}." for what, n in plan.not_imported.items()]
    if plan.unknown:
        lines.append(f"On {plan.unknown} frames the source marks pixels as unknown: check their masks with more care.")
    lines += [f"Lost in this format: {loss}." for loss in plan.source.losses]
    lines += [f"Problem: {problem.text}." for problem in plan.problems]
    return lines if plan.complete else [*lines, "Stopped: the plan is incomplete."]


def _protected(project: Project, plan: ImportPlan) -> list[str]:
    protected = list(plan.protected())
    if not protected:
        return []
    names = [f"{project.clip(clip).path.name} frame {frame} {key}" for clip, frame, key in protected]
    return [f"Kept, as annotated by a person: {count(len(names), 'mask')}: {listed(names, _SHOWN)}."]
