# SPDX-License-Identifier: Apache-2.0
"""Frame checks: a digest of each decoded frame as it was first read, or why it could not be decoded.

A frame is a function of the recording and its index alone. Kept digests show where that does not hold: another version
of a decoder, or a file that changed under its name. What was kept first stays until it is explicitly forgotten.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, delete, insert, select, update

from vfss.clips.clip import Frame
from vfss.errors import ProjectError
from vfss.project.column_types import BadValueError
from vfss.project.database import Database
from vfss.project.tables import clips, frame_checks

_SINCE = 5
_AT_ONCE = 10_000  # rows in one statement


@dataclass(frozen=True)
class ChangedFrame:
    """A frame that is no longer read as it was at first.

    Attributes:
        frame: Zero-based frame index.
        kept: Digest or damage as first read; it was left as it is.
        read: Digest or damage as read now.
    """

    frame: int
    kept: int | str
    read: int | str

    @property
    def mended(self) -> bool:
        """True if the frame could not be decoded before, and can be now."""
        return isinstance(self.kept, str) and isinstance(self.read, int)

    @property
    def message(self) -> str:
        """What changed, for a person, without a full stop."""
        if isinstance(self.kept, str):
            return "could not be decoded before, and can be now"
        return f"cannot be decoded any more ({self.read})" if isinstance(self.read, str) else "is decoded differently"


class FrameChecks:
    """Adds, compares and reads frame checks; each call is one transaction."""

    def __init__(self, database: Database) -> None:
        """Keep them in a database; a read-only one of an older layout has none."""
        self._database = database

    def digests(self, clip_id: str) -> dict[int, int]:
        """Return the digests of a clip's frames by frame index, of those that were read so far."""
        return {frame: digest for frame, (digest, _) in self._kept(clip_id).items() if digest is not None}

    def damaged_frames(self, clip_id: str) -> dict[int, str]:
        """Return why frames of a clip could not be decoded, by frame index, ascending."""
        return {frame: damage for frame, (_, damage) in self._kept(clip_id).items() if damage is not None}

    def record(self, clip_id: str, read: Mapping[int, int | str]) -> list[ChangedFrame]:
        """Keep what was read of frames for the first time, and compare the others with what was kept.

        Args:
            clip_id: Content id of the clip.
            read: By frame index, the digest of the frame (`frame_digest`), or why it could not be decoded.

        Returns:
            Frames that are read otherwise than at first, ascending; what was kept of them stays. Two frames that cannot
            be decoded do not differ, whatever the reasons. A read-only project is only compared.

        Raises:
            ProjectError: The project has no such clip, or the clip no such frame.
        """
        kept = self._kept(clip_id)
        changed = _changed(kept, read)
        if self._database.access == "write" and not read.keys() <= kept.keys():
            with self._database.writing() as connection:
                _expect_frames(connection, clip_id, read)
                kept = _rows(connection, clip_id)
                changed = _changed(kept, read)
                rows = [_row(clip_id, frame, value) for frame, value in sorted(read.items()) if frame not in kept]
                for start in range(0, len(rows), _AT_ONCE):
                    connection.execute(insert(frame_checks), rows[start : start + _AT_ONCE])
        return changed

    def compare(self, clip_id: str, read: Mapping[int, int | str]) -> list[ChangedFrame]:
        """Return the frames that are read otherwise than at first, as `record` does, and keep nothing."""
        return _changed(self._kept(clip_id), read)

    def replace_damage(self, clip_id: str, digests: Mapping[int, int]) -> None:
        """Keep the digests of frames, by index, that could not be decoded before; other frames stay as they are."""
        if not digests or self._database.access != "write":
            return
        own = (frame_checks.c.clip == clip_id) & frame_checks.c.damage.is_not(None)
        with self._database.writing() as connection:
            for frame, digest in digests.items():
                query = update(frame_checks).where(own & (frame_checks.c.frame == frame))
                connection.execute(query.values(digest=digest, damage=None))

    def forget(self, clip_id: str) -> None:
        """Forget all checks of a clip, so that the frames as read from now on are kept: a person's decision."""
        with self._database.writing() as connection:
            connection.execute(delete(frame_checks).where(frame_checks.c.clip == clip_id))

    def _kept(self, clip_id: str) -> dict[int, tuple[int | None, str | None]]:
        if self._database.layout < _SINCE:
            return {}
        with self._database.reading() as connection:
            return _rows(connection, clip_id)


def frame_digest(frame: Frame) -> int:
    """Return the digest of a decoded frame, uint8 or uint16 (H, W): a CRC-32, which costs little beside decoding.

    It is there to notice accidents, not attacks: a frame that changed by chance has the same digest once in 2^32.
    """
    about = zlib.crc32(f"{frame.dtype.itemsize} {frame.shape}\0".encode())
    return zlib.crc32(np.ascontiguousarray(frame, frame.dtype.newbyteorder("<")).data, about)


def _rows(connection: Connection, clip_id: str) -> dict[int, tuple[int | None, str | None]]:
    query = select(frame_checks.c.frame, frame_checks.c.digest, frame_checks.c.damage)
    query = query.where(frame_checks.c.clip == clip_id).order_by(frame_checks.c.frame)
    rows = {row.frame: (row.digest, row.damage) for row in connection.execute(query)}
    n_frames = connection.execute(select(clips.c.n_frames).where(clips.c.id == clip_id)).scalar() or 0
    if rows and max(rows) >= n_frames:
        raise BadValueError(f"frame_checks has frame {max(rows)} of a clip of {n_frames} frames")
    contradicting = [frame for frame, (digest, damage) in rows.items() if (digest is None) == (damage is None)]
    if contradicting:
        raise BadValueError(f"frame_checks has frame {contradicting[0]} as both read and damaged, or neither")
    return rows


def _row(clip_id: str, frame: int, value: int | str) -> dict[str, object]:
    damage = value if isinstance(value, str) else None
    return {"clip": clip_id, "frame": int(frame), "digest": None if isinstance(value, str) else value, "damage": damage}


def _changed(kept: Mapping[int, tuple[int | None, str | None]], read: Mapping[int, int | str]) -> list[ChangedFrame]:
    changed = []
    for frame in sorted(read.keys() & kept.keys()):
        now, (digest, damage) = read[frame], kept[frame]
        before = digest if damage is None else damage
        if before is not None and before != now and not (isinstance(before, str) and isinstance(now, str)):
            changed.append(ChangedFrame(frame, before, now))
    return changed


def _expect_frames(connection: Connection, clip_id: str, read: Mapping[int, int | str]) -> None:
    n_frames = connection.execute(select(clips.c.n_frames).where(clips.c.id == clip_id)).scalar()
    if n_frames is None:
        raise ProjectError(f"the project has no clip {clip_id}", remedy="Add the recording to the project first.")
    outside = [frame for frame in read if not 0 <= frame < n_frames]
    if outside:
        raise ProjectError(f"the clip has no such frame, it has {n_frames}", frame=outside[0])
