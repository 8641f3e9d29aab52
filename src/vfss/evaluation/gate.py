# SPDX-License-Identifier: Apache-2.0
"""The gate: whether a new student is offered in place of the one in use, and why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vfss.evaluation.paired import LEAST_PATIENTS, Paired
from vfss.wording import count, listed

_NAMED = 4  # structures that a sentence names; the table of figures has all


@dataclass(frozen=True)
class GateRules:
    """What a new student must keep; Dice from 0 to 1, where .01 is one point.

    Attributes:
        mean_drop: Most that the mean Dice may fall.
        bound_drop: Most that the lower bound of the 95 % interval of the difference may lie below 0.
        structure_drop: A structure whose Dice falls by so much or more is lost.
        hd95_rise: Most that the mean HD95 may grow, as a share of the old one.
        hd95_slack: Growth of the mean HD95 that counts for nothing, in heights of a pixel.
        latency_rise: Most that the time a frame takes may grow, as a share of the old one.
        agreement: Least share of pixels that the exported network and torch assign alike.
        phantom_drop: Most that the mean Dice on phantoms may fall: a check that nothing was forgotten.
    """

    mean_drop: float = 0.002
    bound_drop: float = 0.005
    structure_drop: float = 0.010
    hd95_rise: float = 0.05
    hd95_slack: float = 0.25
    latency_rise: float = 0.15
    agreement: float = 0.999
    phantom_drop: float = 0.010


@dataclass(frozen=True)
class Evidence:
    """What was measured of two students.

    Attributes:
        hold_out: Both on the frozen hold-out; None where there is none.
        phantoms: Both on phantoms; None where they were not needed.
        lost: Names of structures that the old student proposes and the new one does not.
        latency: Seconds a frame of the old and the new student; None: both have the same architecture.
        agreement: Share of pixels that the exported network and torch assign alike; None: not measured.
    """

    hold_out: Paired | None
    phantoms: Paired | None = None
    lost: tuple[str, ...] = ()
    latency: tuple[float, float] | None = None
    agreement: float | None = None


@dataclass(frozen=True)
class Verdict:
    """What the gate decides.

    Attributes:
        passed: Whether the new student is offered.
        against: Sentences on what the new student lacks; empty if it is offered.
        remarks: Sentences on what else a person should know.
        on_film: Whether it rests on real film of held-out patients; False: on phantoms alone, or on nothing.
    """

    passed: bool
    against: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    on_film: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        told = {"against": list(self.against), "remarks": list(self.remarks)}
        return {"passed": self.passed, **told, "on_film": self.on_film}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Verdict:
        """Read what `to_dict` gave.

        Raises:
            ValueError: It is something else.
        """
        passed, against, remarks = (data.get(name) for name in ("passed", "against", "remarks"))
        if not isinstance(passed, bool) or not isinstance(against, list) or not isinstance(remarks, list):
            raise ValueError("no verdict of a gate")
        return cls(passed, tuple(map(str, against)), tuple(map(str, remarks)), data.get("on_film") is not False)


def judge(evidence: Evidence, names: Mapping[str, str], rules: GateRules | None = None) -> Verdict:
    """Decide whether a new student is offered.

    Args:
        evidence: What was measured.
        names: Names of structures by key, for people.
        rules: What it must keep; None: the usual rules.
    """
    rules = rules or GateRules()
    against, remarks = list[str](), list[str]()
    if evidence.lost:
        against.append(f"It does not propose {listed(evidence.lost, 12)} any more.")
    measured = evidence.hold_out if evidence.hold_out is not None and evidence.hold_out.frames else None
    if measured is None:
        remarks.append(
            "No frame of a held-out patient is annotated, so nothing can be said of real film. "
            "Accept frames of patients in validation or test (see Patients...)."
        )
    else:
        against += _on_hold_out(measured, names, rules)
        if measured.units < LEAST_PATIENTS:
            remarks.append(
                f"The hold-out has only {count(measured.units, 'patient')}: its figures may not hold for others, and "
                f"intervals, drawn from frames, are narrower than they should be. {LEAST_PATIENTS} patients are needed."
            )
    against += _on_phantoms(evidence.phantoms, names, rules)
    if evidence.phantoms is not None:
        remarks.append("Phantoms were compared as well, as a check that nothing was forgotten; they are no real film.")
    if measured is None and evidence.phantoms is None:
        against.append("It could not be compared with the student in use on any frame.")
    against += _on_running(evidence, rules)
    if evidence.agreement is None:
        remarks.append("The exported network was not compared with the trained one.")
    return Verdict(not against, tuple(against), tuple(remarks), on_film=measured is not None)


def _on_hold_out(paired: Paired, names: Mapping[str, str], rules: GateRules) -> list[str]:
    against = []
    mean = paired.difference[""]
    old, new = paired.old[""].value, paired.new[""].value
    if mean.value is None or old is None or new is None:
        return ["No structure of the hold-out has a figure for both students."]
    if mean.value < -rules.mean_drop:
        against.append(
            f"Its mean Dice on the hold-out is {new:.3f}, that of the student in use {old:.3f}: "
            f"{_points(mean.value)} points, and at most {_points(-rules.mean_drop)} is allowed."
        )
    if mean.interval is not None and mean.interval[0] <= -rules.bound_drop:
        against.append(
            f"The mean may be {-100 * mean.interval[0]:.1f} points worse (lower end of the 95 % interval); "
            f"it must be less than {100 * rules.bound_drop:.1f}."
        )
    against += _worse_structures(paired, names, rules.structure_drop)
    if paired.old_hd95 is not None and paired.new_hd95 is not None:
        most = paired.old_hd95 * (1 + rules.hd95_rise) + rules.hd95_slack
        if paired.new_hd95 > most:
            against.append(
                f"Its outlines are further off: HD95 {paired.new_hd95:.1f} pixels, before {paired.old_hd95:.1f}."
            )
    return against


def _worse_structures(paired: Paired, names: Mapping[str, str], drop: float) -> list[str]:
    worse = []
    for key in paired.keys:
        difference, old, new = paired.difference[key].value, paired.old[key].value, paired.new[key].value
        if difference is not None and difference <= -drop:
            worse.append((difference, f"{names.get(key, key)} falls from {old:.3f} to {new:.3f}"))
    if not worse:
        return []
    return [f"{listed([text for _, text in sorted(worse)], _NAMED)} ({_points(-drop)} points are too much)."]


def _on_phantoms(paired: Paired | None, names: Mapping[str, str], rules: GateRules) -> list[str]:
    """Return what was forgotten, which a fall of the mean over phantoms shows; single structures vary too much."""
    if paired is None or (mean := paired.difference[""].value) is None or mean >= -rules.phantom_drop:
        return []
    rows = sorted((d, key) for key in paired.keys if (d := paired.difference[key].value) is not None and d < 0)
    most = listed([f"{names.get(key, key)} {_points(value)}" for value, key in rows], 3)
    return [f"On phantoms its mean Dice falls by {-100 * mean:.1f} points ({most}): something was forgotten."]


def _on_running(evidence: Evidence, rules: GateRules) -> list[str]:
    against = []
    if evidence.latency is not None:
        old, new = evidence.latency
        if new > old * (1 + rules.latency_rise):
            against.append(f"It is slower: {1000 * new:.0f} ms a frame, before {1000 * old:.0f} ms.")
    if evidence.agreement is not None and evidence.agreement < rules.agreement:
        against.append(
            f"Its exported network agrees with the trained one on {100 * evidence.agreement:.2f} % of pixels only; "
            f"{100 * rules.agreement:.1f} % are needed."
        )
    return against


def _points(difference: float) -> str:
    return f"{100 * difference:+.1f}"
