# SPDX-License-Identifier: Apache-2.0
"""Survey of all masks of the open clip, in the background: confidence, consistency, and which masks are doubtful."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, Signal

from napari_vfss.connections import Connections
from napari_vfss.debounce import Debounce
from napari_vfss.jobs.worker import explain, worker_for
from napari_vfss.session.host import while_open_or
from napari_vfss.session.session import Session
from vfss.consistency.doubt import Doubt
from vfss.consistency.judge import INCONSISTENT, Trust
from vfss.consistency.survey import Findings, Survey
from vfss.masks import BoolArray, ByteArray, MaskState

FloatArray = npt.NDArray[np.float32]

SHOWN = ("not visible", "empty", "accepted", "unseen", "proposed", "edited", "doubtful")
"""Status of a mask; if several frames share a pixel of the timeline, the last of these is drawn."""
_RANK = np.array([SHOWN.index(state.label) for state in MaskState], np.uint8)
_DOUBTFUL = SHOWN.index("doubtful")

CATCH_UP_MS = 250
PAUSE_S = 0.01


@dataclass(frozen=True, eq=False)
class ClipOverview:
    """Status of every mask of a clip, as the timeline draws it.

    Attributes:
        states: uint8 (T, S), values of MaskState.
        confidence: float32 (T, S), 0..1, NaN where unknown.
        inconsistency: float32 (T, S), 0..1, NaN where unknown.
        surveyed: False before the first results of the survey: no mask is doubtful then.
        corrected: float32 (T, S), 1 where a person changed the proposal, 0 where it was accepted as it was, NaN where
            nobody has decided; None: nothing known.
    """

    states: ByteArray
    confidence: FloatArray
    inconsistency: FloatArray
    surveyed: bool = True
    corrected: FloatArray | None = None

    @cached_property
    def doubt(self) -> Doubt:
        """How doubtful each mask is."""
        return Doubt(self.states, self.confidence, self.inconsistency, self.corrected)

    @cached_property
    def trust(self) -> ByteArray:
        """uint8 (T, S), values of Trust."""
        if self.surveyed:
            return self.doubt.trust
        return np.where(self.doubt.trust == Trust.DOUBTFUL, np.uint8(Trust.TRUSTED), self.doubt.trust)

    @cached_property
    def jumps(self) -> BoolArray:
        """Bool (T, S), where a mask is inconsistent with its neighbours."""
        jumps: BoolArray = self.inconsistency >= INCONSISTENT
        return jumps

    @cached_property
    def ranks(self) -> ByteArray:
        """uint8 (T, S), index into SHOWN."""
        return np.where(self.trust == Trust.DOUBTFUL, np.uint8(_DOUBTFUL), _RANK[self.states])


@dataclass(frozen=True, eq=False)
class Report:
    """Findings of a survey, or the error that ended it; neither once it is done."""

    survey: Survey
    findings: Findings | None = None
    error: Exception | None = None


def read(survey: Survey) -> Generator[Report, None, None]:
    """Run a survey, with pauses in which the window can draw."""
    try:
        for findings in survey.catch_up():
            yield Report(survey, findings)
            time.sleep(PAUSE_S)
    except Exception as error:  # noqa: BLE001  (a worker's border: the window shows the error)
        yield Report(survey, error=error)
    yield Report(survey)


class MaskSurvey(QObject):
    """Surveys every mask of a session, and again those that change.

    Attributes:
        session: The session; None while no clip is open.
        findings: Results so far.
    """

    changed = Signal()
    problem = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.findings = Findings.none(0, 0)
        self.session: Session | None = None
        self._survey: Survey | None = None
        self._worker: Any = None
        self._again = False
        self._connections = Connections()
        self._later = Debounce(self, self._start, CATCH_UP_MS)

    def open(self, session: Session) -> None:
        """Start to survey a session."""
        self.close()
        n_frames, n = session.clip.n_frames, len(session.schema)
        self.session = session
        self.findings = Findings.none(n_frames, n)
        self._survey = Survey(session.project.overview, session.clip.id, n_frames, n)
        self._connections.add(session.masks_changed, self._later.ask)
        self._start()

    def close(self) -> None:
        """Disconnect from the session; a running survey ends by itself."""
        self._connections.undo()
        if self._worker is not None:
            self._worker.quit()
        self.session = self._survey = self._worker = None
        self._again = False

    @property
    def overview(self) -> ClipOverview | None:
        """Everything that the timeline draws of the clip; None while no clip is open."""
        return self._overview()

    @while_open_or(None)
    def _overview(self, session: Session) -> ClipOverview | None:
        findings = self.findings
        return ClipOverview(
            np.array(session.states), findings.confidence, findings.inconsistency, findings.begun, findings.corrected
        )

    @property
    def running(self) -> bool:
        """True while masks are read."""
        return self._worker is not None

    def _start(self) -> None:
        if self._survey is None:
            return
        if self._worker is not None:
            self._again = True
            return
        worker = self._worker = worker_for(read, self._survey)
        worker.yielded.connect(self._on_report)
        worker.start()

    def _on_report(self, report: Report) -> None:
        if report.survey is not self._survey:  # the clip was closed in the meantime
            return
        if report.error is not None:
            self.problem.emit(explain(report.error))
        elif report.findings is not None:
            self.findings = report.findings
            self.changed.emit()
        else:
            self._worker = None
            if self._again:
                self._again = False
                self._later.ask()
