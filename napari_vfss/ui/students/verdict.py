# SPDX-License-Identifier: Apache-2.0
"""What the gate says of a student, as text for people."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vfss.comparison.cards import StudentCard
    from vfss.evaluation.gate import Verdict


def badge(card: StudentCard) -> str:
    """Return the state of a card in a word or two, with a sign that does not depend on colour."""
    if card.in_use:
        return "● in use"
    if card.record is not None and card.record.deleted is not None:
        return "file deleted"
    if card.problem:
        return "⚠ file cannot be used"
    if card.comparison is None:
        return "not compared yet" if card.record is not None else ""
    if not card.comparison.verdict.passed:
        return "✗ not offered"
    return "✓ offered" if card.comparison.verdict.on_film else "✓ offered, not tested on film"


def verdict_html(card: StudentCard) -> str:
    """Return what the gate says, with its reasons."""
    if card.problem:
        return f"⚠ {escape(card.problem)}"
    if card.in_use:
        return "This student proposes the masks of this project."
    if card.comparison is None:
        if card.record is None:
            return "This is the student that ships with the program. You can always go back to it."
        return "It has not been compared with the student in use yet. Press Compare: it takes a minute or two."
    return f"{sentences(card.comparison.verdict)}{_basis(card)}"


def sentences(verdict: Verdict) -> str:
    """Return the decision and its reasons as HTML."""
    if verdict.passed and not verdict.on_film:
        head = "<b>✓ Offered, but not tested on film.</b> Nothing speaks against it as far as could be tested."
    elif verdict.passed:
        head = "<b>✓ Offered.</b> It keeps what the student in use can."
    else:
        head = "<b>✗ Not offered.</b> The student in use goes on proposing, because:"
    reasons = "".join(f"<li>{escape(text)}</li>" for text in verdict.against)
    remarks = " ".join(escape(text) for text in verdict.remarks)
    return f"{head}{f'<ul style=margin:2px>{reasons}</ul>' if reasons else ''}{f'<br>{remarks}' if remarks else ''}"


def _basis(card: StudentCard) -> str:
    comparison = card.comparison
    if comparison is None or comparison.shown is None:
        return ""
    paired = comparison.shown
    if paired is comparison.phantoms:
        return f"<br><small>Figures below: {paired.frames} simulated frames, the same for both.</small>"
    patients = "1 patient" if paired.units == 1 else f"{paired.units} patients"
    hd95 = ""
    if paired.old_hd95 is not None and paired.new_hd95 is not None:
        hd95 = f" HD95 {paired.new_hd95:.1f} pixels, in use {paired.old_hd95:.1f}."
    return f"<br><small>Same {paired.frames} frames of {patients} for both, {comparison.time:%d %b %Y}.{hd95}</small>"


def verdict_of_event(event: Mapping[str, Any]) -> Verdict | None:
    """Return the verdict that a trainer reported; None where it reported none."""
    from vfss.evaluation.gate import Verdict

    data = event.get("gate")
    try:
        return Verdict.from_dict(data) if isinstance(data, dict) else None
    except ValueError:
        return None
