# SPDX-License-Identifier: Apache-2.0
"""How doubtful each proposal of a clip is: confidence ranked within clip and structure, jumps, and past corrections."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from vfss.consistency.judge import CONFIDENT, INCONSISTENT, Trust
from vfss.masks import BoolArray, ByteArray, MaskState

FloatArray = npt.NDArray[np.float32]

SHARE = 0.25
"""Share of a clip's proposals that is doubtful at most, before anything was corrected."""
RANKED_FROM = 40
"""Proposals of a clip from which they are ranked; fewer are judged by their confidence alone."""
_MISSED = 2.0  # a wrong mask that is not doubtful costs as much as two right ones that are
_PRIOR = 1000.0  # quadratic, so that a move by a tenth must spare ten masks that would be on the wrong side
_MARGINS = (0.5, 0.95)  # however much was corrected: at most half of the masks are doubtful, and the worst twentieth is


@dataclass(frozen=True, eq=False)
class Doubt:
    """Doubt about every mask of a clip.

    Ranks are taken over all masks that ever were proposed, so that the list gets shorter while one accepts: were they
    taken over what is still open, a quarter of the rest would always be doubtful.

    Attributes:
        states: uint8 (T, S), values of MaskState.
        confidence: float32 (T, S), 0..1, NaN where unknown.
        inconsistency: float32 (T, S), 0..1, NaN where unknown.
        corrected: float32 (T, S), 1 where a person changed the proposal, 0 where it was accepted as it was, NaN where
            nobody has decided.
    """

    states: ByteArray
    confidence: FloatArray
    inconsistency: FloatArray
    corrected: FloatArray | None = None

    @cached_property
    def scores(self) -> FloatArray:
        """Doubt, float32 (T, S), 0..1, 1 the worst; NaN where nothing was proposed.

        The share of the clip's proposals that are at most as doubtful, by the mean of a mask's rank among the same
        structure and its rank among all structures of the clip. A jump counts as its size where that is more.
        A proposal without a confidence has doubt 1.
        """
        known = np.isfinite(self.confidence)
        scores = np.full(self.states.shape, np.nan, np.float32)
        scores[(self.states == MaskState.PROPOSED) & ~known] = 1.0
        if not known.any():
            return scores
        risk = 1.0 - self.confidence
        within = np.full_like(risk, np.nan)
        for s in range(risk.shape[1]):
            within[:, s] = _ranks(risk[:, s])
        low = 0.5 * (within + _ranks(risk))
        jumps = np.where(self.inconsistency >= INCONSISTENT, 0.5 + 0.5 * self.inconsistency, 0.0)
        scores[known] = _ranks(np.where(known, np.maximum(low, jumps), np.nan))[known]
        return scores

    @cached_property
    def threshold(self) -> float:
        """Score from which a proposal is doubtful, 0..1, moved from 1 - SHARE by what was corrected in this clip."""
        decided = np.isfinite(self.scores) & _finite(self.corrected, self.states.shape)
        usual = 1.0 - SHARE
        if self.corrected is None or not decided.any():
            return usual
        scores, wrong = self.scores[decided].astype(np.float64), self.corrected[decided] > 0.5
        candidates = np.append(usual, np.linspace(*_MARGINS, 46))
        above = scores[:, None] >= candidates
        cost = (~above & wrong[:, None]).sum(axis=0) * _MISSED + (above & ~wrong[:, None]).sum(axis=0)
        return float(candidates[np.argmin(cost + _PRIOR * (candidates - usual) ** 2)])

    @cached_property
    def trust(self) -> ByteArray:
        """Verdicts, uint8 (T, S), values of Trust.

        Annotated masks are never doubtful, nor is a proposal that is both confident and consistent. Of the others,
        those are doubtful whose score reaches the threshold; all of them where the clip has too few to be ranked.
        """
        proposed = self.states == MaskState.PROPOSED
        good = (self.confidence >= CONFIDENT) & ~(self.inconsistency >= INCONSISTENT)  # comparisons with NaN are False
        if np.isfinite(self.confidence).sum() >= RANKED_FROM:
            good |= self.scores < self.threshold
        trust = np.full(self.states.shape, Trust.ANNOTATED, np.uint8)
        trust[self.states == MaskState.UNSEEN] = Trust.NOTHING
        trust[proposed & good] = Trust.TRUSTED
        trust[proposed & ~good] = Trust.DOUBTFUL
        return trust

    @cached_property
    def worst_first(self) -> tuple[tuple[int, int], ...]:
        """Doubtful masks (frame, structure), the worst first, equals in order of time."""
        frames, structures = np.nonzero(self.trust == Trust.DOUBTFUL)
        order = np.argsort(-self.scores[frames, structures], kind="stable")
        return tuple((int(frames[i]), int(structures[i])) for i in order)

    def step(self, place: tuple[int, int], direction: int) -> int | None:
        """Return where in the list of the worst one gets from a mask by a step, None where the list ends.

        A mask that was just accepted has left the list, and the step goes on from where it stood. From any other mask
        a step forward leads to the worst of all.

        Args:
            place: The mask (frame, structure) from which one goes.
            direction: 1 to the next, less doubtful mask, -1 to the one before.
        """
        places = self.worst_first
        if place in places:
            at = places.index(place) + direction
        else:
            before = sum(self._precedes(other, place) for other in places) if self._was_listed(place) else 0
            at = before if direction > 0 else before - 1
        return at if 0 <= at < len(places) else None

    def _was_listed(self, place: tuple[int, int]) -> bool:
        return self.trust[place] == Trust.ANNOTATED and bool(self.scores[place] >= self.threshold)

    def _precedes(self, one: tuple[int, int], other: tuple[int, int]) -> bool:
        return (-float(self.scores[one]), one) < (-float(self.scores[other]), other)


def _finite(values: FloatArray | None, shape: tuple[int, ...]) -> BoolArray:
    return np.zeros(shape, np.bool_) if values is None else np.isfinite(values)


def _ranks(values: FloatArray) -> FloatArray:
    """Return the share of the known values that are not larger, 0..1, NaN where not known; equals are not split."""
    ranks = np.full(values.shape, np.nan, np.float32)
    known = np.isfinite(values)
    ordered = np.sort(values[known])
    if ordered.size:
        ranks[known] = np.searchsorted(ordered, values[known], "right") / ordered.size
    return ranks
