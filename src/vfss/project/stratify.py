# SPDX-License-Identifier: Apache-2.0
"""Which side of the split a new patient joins, so that every structure is annotated on all of them.

Patients come one after another and never move, so this is iterative stratification (Sechidis et al. 2011, "On the
Stratification of Multi-Label Data") in the order in which they came: each joins the side that lacks most of what the
patient has, where the rarest structures count most.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from vfss.project.records import Split

SHARES: dict[Split, float] = {"train": 0.70, "validation": 0.15, "test": 0.15}
"""Of patients, and of the patients on whom a structure is annotated."""


@dataclass
class Sides:
    """Who is on which side, and how many patients there have which structure annotated.

    Attributes:
        annotated: Planes of structures that a person confirmed at least once, by patient.
        project_id: Breaks ties, so that two projects do not split the same patients alike.
    """

    annotated: Mapping[str, frozenset[int]]
    project_id: str
    _patients: Counter[Split] = field(default_factory=Counter)
    _structures: dict[Split, Counter[int]] = field(default_factory=lambda: {side: Counter() for side in SHARES})

    def join(self, patient: str, side: Split) -> None:
        """Count in a patient who is on a side."""
        self._patients[side] += 1
        self._structures[side].update(self.annotated.get(patient, frozenset()))

    def choose(self, patient: str) -> Split:
        """The side of a new patient; of the first two, one is learnt from and one held out."""
        if not self._patients["train"]:
            return "train"
        if self._patients.total() == self._patients["train"]:
            return "validation"
        return max(SHARES, key=lambda side: self._wish(patient, side))

    def _wish(self, patient: str, side: Split) -> tuple[float, float, bytes]:
        """How much a side lacks a patient: in structures, then in number, then by lot."""
        wanted = 0.0
        for plane in self.annotated.get(patient, frozenset()):
            everywhere = 1 + sum(structures[plane] for structures in self._structures.values())
            wanted += (SHARES[side] - self._structures[side][plane] / everywhere) / everywhere  # rare ones count most
        lacking = SHARES[side] * (1 + self._patients.total()) - self._patients[side]
        lot = hashlib.blake2b(f"{self.project_id}/{patient}/{side}".encode(), digest_size=8).digest()
        return round(wanted, 9), round(lacking, 9), lot
