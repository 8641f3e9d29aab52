# SPDX-License-Identifier: Apache-2.0
"""Rules that every proposal obeys: what anatomy allows, applied to logits before they are scaled to the frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import cv2
import numpy as np
import numpy.typing as npt

from vfss.masks import BoolArray
from vfss.schema import Structure
from vfss.student.level_chain import COUNTED, SPINE, body_centres, counted_again, is_squeezed
from vfss.student.preprocess import Placement

FloatArray = npt.NDArray[np.float32]

ONE_PIECE = frozenset(("epiglottis", "mandible", "airway"))
"""Keys of structures, besides vertebrae, that are one connected piece; a bolus or a pharynx may be several."""

LEAST_CONFIDENCE: Mapping[str, float] = MappingProxyType({"bolus": 0.6})
"""Chosen for the student that ships, on phantoms and on films without barium, on which teeth were taken for a bolus."""

_LOST = 0.1
"""Mean confidence in vertebrae by which a first look surpasses a closer one that lost the spine. Chosen on phantoms of
styles never learnt (benchmarks/second_pass.py, patients 97,000 on) and on films, where 0.05 and less cost names."""

_OUTSIDE = -1e-3  # logit of a pixel that was 0 exactly and is taken out


@dataclass(frozen=True)
class Rules:
    """Switches of the rules; what each of them gains is reported in docs/student.md.

    Attributes:
        disjoint: No two vertebrae on one pixel: the one with the higher logit keeps it.
        one_piece: Of a vertebra, mandible, airway or epiglottis the connected piece with the largest sum of
            probabilities is kept.
        recount: A neck in which C2 seems to be counted as two vertebrae is counted again (vfss.student.level_chain).
        least_confidence: Confidence below which a structure is not proposed, by key.
    """

    disjoint: bool = True
    one_piece: bool = True
    recount: bool = False
    least_confidence: Mapping[str, float] = field(default_factory=lambda: LEAST_CONFIDENCE)


NO_RULES = Rules(disjoint=False, one_piece=False, least_confidence={})
"""The network's own masks."""

ADAPTED_RULES = Rules(least_confidence={})
"""Of a student that is adapted to a clip: a person has shown it what is a bolus there."""


class RuleBook:
    """Rules for planes of given structures; structures with other keys and chains are left as they are."""

    def __init__(self, rules: Rules, structures: Sequence[Structure]) -> None:
        """Look up which planes each rule applies to.

        Args:
            rules: Which rules apply.
            structures: One for each plane, in order; those of a chain from top to bottom.
        """
        spine = [i for i, s in enumerate(structures) if s.chain == SPINE]
        single = [i for i, s in enumerate(structures) if s.chain == SPINE or s.key in ONE_PIECE]
        self._vertebrae = np.array(spine, np.intp)
        self._disjoint = rules.disjoint and len(spine) > 1
        self._single = tuple(single) if rules.one_piece else ()
        self._others = np.setdiff1d(np.arange(len(structures)), self._vertebrae)
        keys = [structures[i].key for i in spine]
        start = keys.index(COUNTED[0]) if COUNTED[0] in keys else 0
        self._counted = slice(start, start + len(COUNTED))
        self._recount = rules.recount and tuple(keys[self._counted]) == COUNTED
        self._least = np.array([rules.least_confidence.get(s.key, 0.0) for s in structures], np.float32)

    def apply(self, logits: FloatArray, confidence: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return logits and confidence that obey the rules; no structure gets a pixel that no structure had.

        Args:
            logits: float32 (S, h, w), in the order of the structures; not changed.
            confidence: float32 (S,), 0..1, calibrated.

        Returns:
            Logits float32 (S, h, w), confidence float32 (S,).
        """
        ruled, trust = logits.copy(), confidence.copy()
        if self._disjoint:
            ruled[self._vertebrae] = disjoint(ruled[self._vertebrae])
        for index in self._single:
            keep_largest_piece(ruled[index])
        if self._recount:
            self._count_again(ruled, trust)
        for logit, doubted in zip(ruled, trust < self._least, strict=True):
            if doubted:
                take_out(logit, logit > 0)
        return ruled, trust

    def united(
        self, closer: BoolArray, confidence: FloatArray, whole: BoolArray, trust: FloatArray, placement: Placement
    ) -> tuple[BoolArray, FloatArray]:
        """Return planes and confidence of a closer look and the first one together.

        Vertebrae are all of one look, as the two may count them differently: of the closer one, unless that lost the
        spine and is much less confident of it. Of every other structure the look that is more confident of it counts;
        where the closer one does not reach, the first completes it.

        Args:
            closer: bool (S, H, W), planes of the closer look; changed.
            confidence: float32 (S,), its confidence; changed.
            whole: bool (S, H, W), planes of the first look; changed.
            trust: float32 (S,), its confidence.
            placement: Of the closer look.
        """
        shown = (placement.vertical.seen, placement.horizontal.seen)
        spine = self._vertebrae
        if len(spine) and float(np.mean(trust[spine])) > float(np.mean(confidence[spine])) + _LOST:
            closer[spine], confidence[spine] = whole[spine], trust[spine]
        for index in self._others:
            if trust[index] >= confidence[index]:
                closer[index], confidence[index] = whole[index], trust[index]
            elif whole[index].any():
                whole[(index, *shown)] = closer[(index, *shown)]
                closer[index] = largest_piece(whole[index]) if index in self._single else whole[index]
        return closer, confidence

    def _count_again(self, ruled: FloatArray, trust: FloatArray) -> None:
        """Change, in place, the names of vertebrae where the second one seems to be counted as two."""
        spine = ruled[self._vertebrae]
        if is_squeezed(body_centres(spine, ruled[self._others])[self._counted]):
            renamed, trust[self._vertebrae] = counted_again(spine, trust[self._vertebrae], self._counted.start)
            ruled[self._vertebrae] = renamed
            if self._single:
                keep_largest_piece(ruled[self._vertebrae[self._counted.start]])


def disjoint(logits: FloatArray) -> FloatArray:
    """Return logits of which at most one is positive at any place, also between pixels.

    Each is reduced to its lead over the highest other one where that lead is smaller. The sum of two of them is then
    never positive, which linear interpolation preserves.

    Args:
        logits: float32 (S, h, w), S at least 2.
    """
    inside = np.any(logits > 0, axis=0)
    values = logits[:, inside]
    two = np.partition(values, -2, axis=0)[-2:]
    rival = np.where(values == two[1], two[0], two[1])
    parted = logits.copy()
    parted[:, inside] = np.minimum(values, values - rival)
    return parted


def keep_largest_piece(logit: FloatArray) -> None:
    """Take out, in place, all but one connected piece: the one with the largest sum of probabilities.

    Pixels that touch at corners only are not connected: between them an interpolated mask breaks.

    Args:
        logit: float32 (h, w); positive is inside.
    """
    inside = logit > 0
    n, labels = cv2.connectedComponents(inside.view(np.uint8), connectivity=4)
    if n <= 2:  # background and one piece
        return
    values = logit[inside]
    weight = np.bincount(labels[inside], 1.0 / (1.0 + np.exp(-values)), minlength=n)
    take_out(logit, inside & (labels != weight.argmax()))


def largest_piece(plane: BoolArray) -> BoolArray:
    """Return the largest connected piece of a plane, bool (H, W); pixels that touch at corners only are not connected.

    Where two looks meet, their borders may not.
    """
    n, labels, stats, _ = cv2.connectedComponentsWithStats(plane.view(np.uint8), connectivity=4)
    if n <= 2:  # background and one piece
        return plane
    return np.asarray(labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()))


def take_out(logit: FloatArray, region: npt.NDArray[np.bool_]) -> None:
    """Make the logits of a region negative, in place, with as steep a border as before."""
    logit[region] = np.minimum(-logit[region], _OUTSIDE)
