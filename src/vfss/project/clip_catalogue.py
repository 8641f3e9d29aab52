# SPDX-License-Identifier: Apache-2.0
"""Clips of a project: their facts, where their recordings are, and what a person set about them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Row, insert, select, update

from vfss.clips import Clip, Facing, Swallow, open_clip
from vfss.clips.frame_rate import FASTEST_FPS, SLOWEST_FPS
from vfss.clips.time_base import is_plausible
from vfss.errors import ClipError, ProjectError, VfssError
from vfss.project.case_rule import CaseRules, recording_names
from vfss.project.column_types import BadValueError
from vfss.project.database import Database
from vfss.project.locate import exists, find_recording, is_recording, project_of_reading, size_of, why_not_there
from vfss.project.path_text import path_to_text, text_to_path
from vfss.project.records import ClipRecord, View, case_from_content, is_confirmed
from vfss.project.swallow_list import read_swallows
from vfss.project.tables import clips, columns_of, patients

_NAMED_DEPTH = 6  # levels of folders below one that a person named: an archive by year, patient and visit


class Catalogue:
    """Clips of one project, identified by their content; the recordings themselves stay where they are."""

    def __init__(self, database: Database, folder: Path) -> None:
        """Keep the clips in a database; paths in or beside the folder are kept relative to it."""
        self._database = database
        self._folder = folder
        # A second reading is inside its project's folder, its recordings are where the project's are.
        self._home = project_of_reading(folder) or folder
        self._columns = columns_of(clips, database.layout)

    def add(self, recording: Path | Clip, patient: str | None) -> ClipRecord:
        """Add a recording, or update the path of one that is known already."""
        if not isinstance(recording, Clip):
            with open_clip(recording) as clip:
                return self.add(clip, patient)
        clip = recording
        if clip.source is None:
            raise ProjectError("a clip in memory has no file to find it again", remedy="Save it as a recording first.")
        values = {} if patient is None else {"patient": _named(patient), "case_confirmed": True}
        values |= self._place(clip.source)
        row = self._first_case(clip) | _facts(clip) | values
        _expect_swallows(row["swallows"], clip.n_frames)
        with self._database.writing() as connection:
            if connection.execute(select(clips.c.id).where(clips.c.id == clip.id)).first() is None:
                connection.execute(insert(clips), [row | {"added": datetime.now(UTC)}])
            else:
                connection.execute(update(clips).where(clips.c.id == clip.id).values(values))
        return self.get(clip.id)

    def all(self) -> list[ClipRecord]:
        """Return all clips in the order in which they were added."""
        with self._database.reading() as connection:
            rows = connection.execute(select(*self._columns).order_by(clips.c.added, clips.c.id)).all()
        return [self._record(row) for row in rows]

    def get(self, clip_id: str) -> ClipRecord:
        """Return one clip.

        Raises:
            ProjectError: The project has no such clip.
        """
        return self._record(self._row(clip_id))

    def _first_case(self, clip: Clip) -> dict[str, Any]:
        """Return the columns of the case that a new clip gets by the project's rule, which a person must confirm."""
        rule = CaseRules(self._database).get()
        case = None if rule is None or clip.source is None else rule.case_of(recording_names(clip.source))
        return {"patient": case or case_from_content(clip.id), "case_confirmed": False}

    def update(self, clip_id: str, values: dict[str, Any]) -> ClipRecord:
        """Set columns of a clip; a patient that is set is confirmed, and a facing is a person's unless values say so.

        Raises:
            ProjectError: There is no such clip, a value does not fit it, or training has used the clip while its case
                was not confirmed and the new case is held out.
        """
        row = self._row(clip_id)
        if "patient" in values:
            values = values | {"patient": _named(values["patient"]), "case_confirmed": True}
            self._expect_trainable(row, values["patient"])
        if "facing" in values:
            values = {"facing_from": "person"} | values
        _expect_swallows(values.get("swallows", []), row.n_frames)
        if values:
            with self._database.writing() as connection:
                connection.execute(update(clips).where(clips.c.id == clip_id).values(values))
        return self.get(clip_id)

    def note_proposed(self, clip_id: str, *, facing: Facing | None, view: View, reason: str) -> ClipRecord:
        """Keep what the first proposals of a clip show; see Project.note_proposed."""
        record, values = self.get(clip_id), dict[str, Any]()
        if facing is not None and record.facing_from in (None, "proposals"):
            values |= {"facing": facing, "facing_from": "proposals"}
        if record.view_from != "person":
            values |= {"view": view, "view_from": "proposals", "view_reason": reason}
        return self.update(clip_id, values)

    def _expect_trainable(self, row: Row[Any], patient: str) -> None:
        """Refuse to give a clip that training has used to a case that is held out."""
        if not row.trained_unconfirmed or patient == row.patient:
            return
        with self._database.reading() as connection:
            split = connection.execute(select(patients.c.split).where(patients.c.name == patient)).scalar()
        if split not in (None, "train"):
            raise ProjectError(
                f"a student was trained on this clip while its case was not confirmed, and case {patient!r} is held "
                f"out in {split!r}",
                path=self._recorded(row)[0],
                remedy="Give it another case; scores on that case would count what the student has seen.",
            )

    def locate(self, clip_id: str, search: Iterable[Path]) -> Path:
        """Return the path of a recording; a new path is kept.

        Raises:
            ClipError: It is in none of the known folders.
        """
        row = self._row(clip_id)
        recorded = self._recorded(row)
        for path in recorded:
            if is_recording(path, clip_id, row.size):
                return path
        folders = [*((Path(folder), _NAMED_DEPTH) for folder in search), *self._known_folders(recorded)]
        moved = find_recording(clip_id, row.size, is_folder=row.is_folder, folders=folders)
        if moved is None:
            raise ClipError(
                f"{why_not_there(recorded[0], row.size)}, nor is it in any folder that the project knows",
                path=recorded[0],
                remedy="Put it back, or name the folder where it is now; it is found by its content, not its name.",
            )
        if self._database.access == "write":
            self.update(clip_id, self._place(moved))
        return moved

    def open(self, clip_id: str) -> Clip:
        """Open a recording, wherever it is, as `adopt` returns it."""
        record = self.get(clip_id)
        return self.adopt(open_clip(self.locate(clip_id, ()), rotation=record.rotation))

    def adopt(self, clip: Clip) -> Clip:
        """Return an open clip as the project knows it; see Project.adopt."""
        row = self._row(clip.id)
        record = self._record(row)
        if clip.rotation != record.rotation and clip.source is not None:
            clip.close()
            clip = open_clip(clip.source, rotation=record.rotation)
        try:
            self._expect_as_kept(clip, record)
        except VfssError:
            clip.close()
            raise
        clip.facing, clip.inverted, clip.swallows = record.facing, record.inverted, record.swallows
        if record.frame_rate is not None:
            clip.retime(record.frame_rate)
        if row.pixel_aspect is None and self._database.access == "write":  # added by a version that did not read it
            self.update(clip.id, {"pixel_aspect": clip.pixel_aspect})
        return clip

    def _expect_as_kept(self, clip: Clip, record: ClipRecord) -> None:
        """Refuse a clip whose frames are not those that masks were made on; more frames than before are kept.

        The content is the same, but another version of the program, or of a decoder, can find frames that an earlier
        one did not find.
        """
        now, kept = (clip.n_frames, clip.height, clip.width), (record.n_frames, record.height, record.width)
        if now == kept:
            return
        if now[1:] != kept[1:] or now[0] < kept[0] or self._database.access != "write":
            raise ClipError(
                "the recording has {} frames of {} x {} pixels, the project was made when it was read as {} of {} x {}"
                "".format(*now, *kept),
                path=clip.source,
                remedy="Its masks are kept. Open the project with the version of napari-vfss that made it.",
            )
        self.update(clip.id, {"n_frames": clip.n_frames})
        found = f"The project was made when only {kept[0]} of its {now[0]} frames were found: check its masks"
        clip.notes = (*clip.notes, found)

    def set_frame_rate(self, clip_id: str, frames_per_second: float | None) -> ClipRecord:
        """Set the rate that a person typed; None for the recording's own times."""
        if frames_per_second is not None and not is_plausible(frames_per_second):
            raise ProjectError(
                f"{frames_per_second:g} frames per second is no frame rate of a recording",
                remedy=f"Enter a number from {SLOWEST_FPS:g} to {FASTEST_FPS:g}.",
            )
        return self.update(clip_id, {"frame_rate": None if frames_per_second is None else float(frames_per_second)})

    def _row(self, clip_id: str) -> Row[Any]:
        with self._database.reading() as connection:
            row = connection.execute(select(*self._columns).where(clips.c.id == clip_id)).first()
        if row is None:
            raise ProjectError(
                f"the project has no clip {clip_id}",
                path=self._folder,
                remedy="Add the recording to the project first.",
            )
        return row

    def _record(self, row: Row[Any]) -> ClipRecord:
        places = self._recorded(row)
        return ClipRecord(
            id=row.id,
            path=next((path for path in places if exists(path)), places[0]),
            n_frames=row.n_frames,
            height=row.height,
            width=row.width,
            bits=row.bits,
            facing=row.facing,
            inverted=row.inverted,
            patient=row.patient,
            added=row.added,
            swallows=self._swallows(row),
            frame_rate=row.frame_rate,
            pixel_aspect=1.0 if row.pixel_aspect is None else row.pixel_aspect,
            rotation=row.rotation or 0,
            case_confirmed=is_confirmed(row.id, row.patient, row.case_confirmed),
            facing_from=row.facing_from or ("person" if row.facing != "unknown" else None),
            view=row.view,
            view_from=row.view_from,
            view_reason=row.view_reason or "",
            film_hash=row.film_hash,
        )

    def _swallows(self, row: Row[Any]) -> tuple[Swallow, ...]:
        with self._database.plain_errors():
            return read_swallows(row.swallows, row.n_frames)

    def _place(self, path: Path) -> dict[str, Any]:
        """Return the columns of a recording's path, relative and absolute: it may move with the project or without."""
        absolute = path.resolve()
        beside = absolute.is_relative_to(self._home.parent)
        relative = Path(os.path.relpath(absolute, self._folder)) if beside else absolute
        place = {"path": path_to_text(relative), "absolute": path_to_text(absolute)}
        return place | {"is_folder": absolute.is_dir(), "size": size_of(absolute)}

    def _recorded(self, row: Row[Any]) -> list[Path]:
        """Return the paths where a recording should be, the likeliest first."""
        beside = Path(os.path.normpath(self._folder / text_to_path(row.path)))
        return list(dict.fromkeys((beside, text_to_path(row.absolute))))

    def _known_folders(self, recorded: Iterable[Path]) -> list[tuple[Path, int]]:
        """Return folders to search and how deep: around the old path, of other clips, around the project."""
        around = [path.parent for path in recorded]
        others = [record.path.parent for record in self.all()]
        near = [(folder, 2) for folder in (*around, *others, self._home)]
        above = [(folder.parent, 2) for folder in (*around, *others)]
        return [*near, (self._home.parent, 3), *above, (self._home.parent.parent, 2)]


def _facts(clip: Clip) -> dict[str, Any]:
    return {
        "id": clip.id,
        "n_frames": clip.n_frames,
        "height": clip.height,
        "width": clip.width,
        "bits": clip.bits,
        "facing": clip.facing,
        "inverted": clip.inverted,
        "swallows": [asdict(swallow) for swallow in clip.swallows],
        "pixel_aspect": clip.pixel_aspect,
        "rotation": clip.rotation,
        "facing_from": None if clip.facing == "unknown" else "file",
    }


def _expect_swallows(swallows: list[Any], n_frames: int) -> None:
    try:
        read_swallows(swallows, n_frames)
    except BadValueError as error:
        raise ProjectError(
            f"a swallow does not fit a clip of {n_frames} frames", remedy="Mark its first and last frame again."
        ) from error


def _named(patient: str) -> str:
    if not patient.strip():
        raise ProjectError("a patient needs a name", remedy="Give a pseudonym, never the real name.")
    return patient
