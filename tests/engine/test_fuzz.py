# SPDX-License-Identifier: Apache-2.0
"""Damaged recordings, projects and masks of others: a short run of support/fuzz.py, and that it finds faults."""

from __future__ import annotations

import pytest

import faulty_subjects
import fuzz
import fuzz_subjects


def test_faults_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "TOO_MUCH_MB", 280.0)
    found = fuzz.run(faulty_subjects.SUBJECTS, 15, workers=2, module="faulty_subjects")
    assert {name: tally.inputs for name, tally in found.items()} == dict.fromkeys(found, 3)
    assert (found["refused"].refused, found["refused"].faults) == (3, {})
    assert found["bare"].faults == {f"KeyError: {number}": 1 for number in range(3)}
    assert found["wrong"].faults == {"another frame": 3}
    assert found["dies"].read == 2
    assert found["dies"].faults == {"the process died with -6": 1}
    assert found["large"].faults == {"more than 280 MB": 3}


def test_damaged_input_is_read_or_refused() -> None:
    kinds = [subject for subject in fuzz_subjects.SUBJECTS if subject.name in ("video", "dicom", "tiff", "pictures")]
    found = fuzz.run(kinds, 140, first=5_000_000)
    assert sum(tally.inputs for tally in found.values()) == 140
    assert {name: (tally.faults, tally.examples) for name, tally in found.items()} == dict.fromkeys(found, ({}, []))
