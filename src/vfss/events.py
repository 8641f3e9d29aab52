# SPDX-License-Identifier: Apache-2.0
"""Events of a swallow that annotators mark: the standard list of the literature, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EventKind:
    """A kind of event, which happens at one frame.

    Attributes:
        key: Name in projects; never changes.
        short: Abbreviation to draw beside a mark.
        name: Name for people.
        meaning: Definition of the frame to mark.
    """

    key: str
    short: str
    name: str
    meaning: str


EVENTS: tuple[EventKind, ...] = (
    EventKind("bpm", "BPM", "Bolus passes mandible", "First frame with the bolus head at the ramus of the mandible"),
    EventKind("hyb", "HYB", "Hyoid burst", "First frame of the hyoid's jump forward and up"),
    EventKind("velum", "VEL", "Velum closed", "First frame with the soft palate against the back wall"),
    EventKind("lvc", "LVC", "Laryngeal closure", "First frame with the laryngeal vestibule closed"),
    EventKind("ueso", "UESO", "UES opening", "First frame with the upper oesophageal sphincter open"),
    EventKind("peak", "HYP", "Hyoid peak", "Frame with the hyoid farthest forward and up"),
    EventKind("mpc", "MPC", "Maximal pharyngeal constriction", "Frame with the least space in the pharynx"),
    EventKind("uesm", "UESX", "UES widest", "Frame with the sphincter most open"),
    EventKind("uesc", "UESC", "UES closure", "First frame with the sphincter closed behind the bolus tail"),
    EventKind("lvo", "LVO", "Laryngeal reopening", "First frame with air in the laryngeal vestibule again"),
    EventKind("rest", "REST", "Swallow rest", "First frame with the hyoid back at its lowest"),
    EventKind("penetration", "PEN", "Penetration", "First frame with contrast in the larynx above the vocal folds"),
    EventKind("aspiration", "ASP", "Aspiration", "First frame with contrast below the vocal folds"),
    EventKind("ejection", "EJ", "Ejection", "First frame with contrast leaving the airway again"),
    EventKind("residue", "RES", "Residue", "Frame on which residue after the swallow is judged"),
)

SWALLOW = "swallow"
"""Kind of a mark that has a first and a last frame."""
FREE = "note"
"""Kind of a mark that is described by free text."""

BY_KEY = {event.key: event for event in EVENTS}


def name_of(kind: str, text: str = "") -> str:
    """Return the name of a mark of that kind, with the annotator's text if there is one."""
    known = BY_KEY.get(kind)
    name = "Swallow" if kind == SWALLOW else known.name if known else ""
    return f"{name}: {text}" if name and text else name or text or kind


def short_of(kind: str, text: str = "") -> str:
    """Return an abbreviation for a mark of that kind."""
    return BY_KEY[kind].short if kind in BY_KEY else (text[:4] or kind[:4])
