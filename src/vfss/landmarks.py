# SPDX-License-Identifier: Apache-2.0
"""Landmarks: single points of the anatomy that measures start from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Landmark:
    """One point.

    Attributes:
        key: Name in files; never changes.
        name: Name for people.
        where: Where exactly it lies.
    """

    key: str
    name: str
    where: str


LANDMARKS = (
    Landmark("c1_tubercle", "C1", "front of the anterior arch of the atlas"),
    Landmark("c2_front", "C2 front", "anterior-inferior corner of the body of C2"),
    Landmark("c2_back", "C2 back", "posterior-inferior corner of the body of C2"),
    Landmark("c4_front", "C4 front", "anterior-inferior corner of the body of C4"),
    Landmark("c4_back", "C4 back", "posterior-inferior corner of the body of C4"),
    Landmark("hyoid", "Hyoid", "middle of the body of the hyoid"),
    Landmark("symphysis", "Symphysis", "lowest point of the front of the mandible (menton)"),
    Landmark("ues", "UES", "lumen of the upper oesophageal sphincter, where it is narrowest"),
    Landmark("valleculae", "Valleculae", "lowest point of the valleculae"),
    Landmark("hard_palate", "Hard palate", "rear end of the hard palate (posterior nasal spine)"),
)
"""All landmarks. The list only grows: a file that knows of the first n goes on meaning these."""
