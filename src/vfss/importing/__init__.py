# SPDX-License-Identifier: Apache-2.0
"""Import masks of other programs: open, match to structures and frames, plan, preview, and write as proposals.

source = open_source("annotations.json")
plan = plan_import(project, source, ImportChoices(clip=clip_id))
picture = preview(project, plan)
report = write_plan(project, plan, author="Ann")
"""

from vfss.importing.labels import LabelMatch, candidates, match_labels, suggested
from vfss.importing.opening import SOURCES, open_source
from vfss.importing.plan import ImportPlan, PlannedFrame, plan_import
from vfss.importing.preview import preview
from vfss.importing.problems import Problem
from vfss.importing.recordings import ImportChoices, SourceRecording, recordings_of, suggested_clips
from vfss.importing.source import ForeignImage, ForeignLabel, ForeignMasks, ForeignPlanes, SourceKind, SourceOptions
from vfss.importing.write import ImportReport, write_plan

__all__ = [
    "SOURCES",
    "ForeignImage",
    "ForeignLabel",
    "ForeignMasks",
    "ForeignPlanes",
    "ImportChoices",
    "ImportPlan",
    "ImportReport",
    "LabelMatch",
    "PlannedFrame",
    "Problem",
    "SourceKind",
    "SourceOptions",
    "SourceRecording",
    "candidates",
    "match_labels",
    "open_source",
    "plan_import",
    "preview",
    "recordings_of",
    "suggested",
    "suggested_clips",
    "write_plan",
]
