# SPDX-License-Identifier: Apache-2.0
"""A plan in words and tables, for the command line and for a window."""

from __future__ import annotations

from collections import Counter

from vfss.importing.plan import ImportPlan
from vfss.project import Project

LABEL_HEADINGS = ("label", "structure", "masks found")
STRUCTURE_HEADINGS = ("structure", "to write", "of them over a proposal", "there already", "protected")
_SHOWN = 8


def label_rows(plan: ImportPlan) -> list[tuple[str, str, str]]:
    """A row per label of the source: its name, what becomes of it, masks found."""
    rows = []
    for label in plan.source.labels:
        key = plan.labels.structures.get(label.name)
        fate = key or ("left out, as you said" if label.name in plan.labels.skipped else "no structure: left out")
        rows.append((label.name, fate, str(plan.found.get(label.name, 0)) if key else "-"))
    return rows


def structure_rows(plan: ImportPlan) -> list[tuple[str, ...]]:
    """A row per structure that the source has, in the order of the labels."""
    counts = {
        kind: Counter(key for frame in plan.frames for key in getattr(frame, kind))
        for kind in ("write", "replaced", "same", "protected")
    }
    keys = dict.fromkeys(plan.labels.structures.values())
    return [(key, *(str(counts[kind][key]) for kind in counts)) for key in keys]


def plan_lines(project: Project, plan: ImportPlan) -> list[str]:
    """The plan in sentences: what it is, how frames were found, what stays, what hinders."""
    masks, frames = sum(plan.counts.values()), sum(1 for frame in plan.frames if frame.write)
    lines = [f"{plan.source.title}: {len(plan.source.images)} images, {len(plan.source.labels)} labels."]
    lines += [f"Frames of {project.clip(clip_id).path.name}: {how}." for clip_id, how in plan.how.items()]
    lines.append(f"To write: {masks} masks on {frames} frames, as proposals that count when a person accepts them.")
    if plan.replaced:
        lines.append(f"They take the place of {plan.replaced} proposals, which stay in the history.")
    if plan.same:
        lines.append(f"There already: {plan.same} masks.")
    lines += _protected(project, plan)
    lines += [f"Not taken over: {what}: {count}." for what, count in plan.not_taken.items()]
    if plan.unknown:
        lines.append(f"On {plan.unknown} frames the source calls pixels unknown: look at their masks with more care.")
    lines += [f"Problem: {problem.text}." for problem in plan.problems]
    return lines if plan.complete else [*lines, "Stopped: the plan is not complete."]


def _protected(project: Project, plan: ImportPlan) -> list[str]:
    places = list(plan.protected())
    if not places:
        return []
    shown = [f"{project.clip(clip).path.name} frame {frame} {key}" for clip, frame, key in places[:_SHOWN]]
    more = f", and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
    return [f"Left as a person has said, {len(places)} places: {', '.join(shown)}{more}."]
