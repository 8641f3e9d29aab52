# SPDX-License-Identifier: Apache-2.0
"""DICOM PS3.15 Annex E: the Basic Application Level Confidentiality Profile, and a stricter rule for the rest.

What the standard's table names is treated as it says, in sequences too. Of what it does not name, only numbers, codes
and defined terms stay that describe the picture and how it was taken: free text, names, dates, unknown and private
attributes, overlays and curves go, because they can hold anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from dicomanonymizer.dicomfields_selector import dicom_anonymization_database_selector
from pydicom.datadict import dictionary_has_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from vfss.clips.dicom.header import DICOM_ERRORS
from vfss.project.case_key import CaseKey

EDITION = "2026c"
"""Edition of the standard whose table is applied."""

_ACTIONS = ("D", "Z", "X", "U", "Z_D", "X_Z", "X_D", "X_Z_D", "X_Z_U_STAR")
_DUMMIES = {"DA": "19000101", "TM": "000000", "DT": "19000101000000"}
"""Values where the object needs one: no day on which anybody was examined."""

_GROUPS = frozenset({0x0008, 0x0018, 0x0020, 0x0028, 0x0054, 0x2050, 0x5200})
_NUMBERS = frozenset({"US", "SS", "UL", "SL", "UV", "SV", "FL", "FD", "AT"})
_NUMBERS_IN_WORDS = frozenset({"DS", "IS"})
_WORDS = frozenset({0x00080070, 0x00081090, 0x00181020, 0x00080100, 0x00080102, 0x00080104})
"""Text that stays: maker, model, software, and the parts of a code."""
_SEQUENCES = frozenset({0x00082218, 0x00082220, 0x00082228, 0x00089215, 0x00089124, 0x0040A170})
"""Sequences outside the groups of acquisition and pixels: anatomy, derivation, purpose of a reference."""
_SEQUENCE_GROUPS = frozenset({0x0018, 0x0020, 0x0028, 0x0054, 0x5200})
_TABLES = frozenset({"OB", "OW"})
_SCHEMES = frozenset({"DCM", "SCT", "SRT", "SNM3", "UCUM", "RADLEX", "FMA", "LN", "NCIt", "UMLS"})
"""Coding schemes whose codes anybody can look up; those of a hospital's own can say anything."""
_TERM = re.compile(r"[A-Z0-9_ ]{0,16}")
_STANDARD_UID = "1.2.840.10008."
_SOP_CLASSES = frozenset({0x00080016, 0x00081150})
_CODE_VALUE, _CODE_MEANING = 0x00080100, 0x00080104


class Profile:
    """Makes de-identified headers; UIDs are replaced by those of one case key, so that references still fit."""

    def __init__(self, key: CaseKey) -> None:
        """Take the standard's table from the library that carries it."""
        self._key = key
        table = dicom_anonymization_database_selector(f"dicomfields_{EDITION}")
        self._actions = {
            (tag[0] << 16) + tag[1]: action for action in _ACTIONS for tag in table[f"{action}_TAGS"] if len(tag) == 2
        }

    def cleaned(self, dataset: Any, *, dummies: bool) -> Any:
        """A new dataset of what may stay; the given one is left as it is.

        Args:
            dataset: pydicom Dataset without file meta information and pixels.
            dummies: Give dates and times that the object must have a dummy value (enhanced objects) instead of none.
        """
        clean = Dataset()
        for element in _elements(dataset):
            kept = self._treated(element, dummies)
            if kept is not None:
                clean.add(kept)
        return clean

    def _treated(self, element: Any, dummies: bool) -> Any:
        """The element as it may stay, None where it may not."""
        action = self._actions.get(int(element.tag))
        if action is None:
            return self._unnamed(element, dummies)
        if action == "U":
            return self._mapped(element)
        if action == "X_Z_U_STAR":
            return self._sequence(element, dummies) if element.VR == "SQ" else None
        needs_value = action == "D" or (dummies and action in ("Z_D", "X_D", "X_Z_D"))
        if needs_value and element.VR in _DUMMIES:
            return DataElement(element.tag, element.VR, _DUMMIES[element.VR])
        if action in ("Z", "Z_D", "X_Z"):
            return DataElement(element.tag, element.VR, Sequence() if element.VR == "SQ" else None)
        return None

    def _unnamed(self, element: Any, dummies: bool) -> Any:
        """What the table does not name: it stays only where it can hold neither words nor dates."""
        tag, kind = int(element.tag), element.VR
        if element.tag.group not in _GROUPS and tag not in _SEQUENCES:
            return None
        if kind == "SQ":
            wanted = element.tag.group in _SEQUENCE_GROUPS or tag in _SEQUENCES
            return self._sequence(element, dummies) if wanted else None
        if kind == "UI":
            return element if tag in _SOP_CLASSES else self._mapped(element)
        kinds = set(kind.split(" or "))  # without explicit kinds some stay open: "US or SS"
        kept = (
            kinds <= _NUMBERS
            or (kind in _NUMBERS_IN_WORDS and all(_is_number(value) for value in _values(element)))
            or (kind == "CS" and all(_TERM.fullmatch(str(value)) for value in _values(element)))
            or (kinds <= _NUMBERS | _TABLES and element.tag.group == 0x0028)
            or tag in _WORDS
        )
        return element if kept else None

    def _mapped(self, element: Any) -> Any:
        """UIDs of the standard as they are, all others replaced."""
        new = [
            value if not value or value.startswith(_STANDARD_UID) else self._key.uid(value)
            for value in map(str, _values(element))
        ]
        return DataElement(element.tag, "UI", new[0] if len(new) == 1 else new or None)

    def _sequence(self, element: Any, dummies: bool) -> Any:
        """A sequence of cleaned items; None where nothing of it is left."""
        items = [self.cleaned(item, dummies=dummies) for item in element.value if _is_public(item)]
        for item in items:
            if _CODE_MEANING in item:
                item[_CODE_MEANING].value = str(item[_CODE_VALUE].value)[:64]
        items = [item for item in items if len(item)]
        return DataElement(element.tag, "SQ", Sequence(items)) if items else None


def _elements(dataset: Any) -> Iterator[Any]:
    """Elements of the standard that can be read, without file meta information, overlays, curves and pixels."""
    for tag in sorted(dataset.keys()):
        known = not tag.is_private and dictionary_has_tag(tag) and 0x0004 < tag.group < 0x7F00
        if not known or 0x50 <= tag.group >> 8 <= 0x51 or tag.group >> 8 == 0x60:
            continue
        try:
            yield dataset[tag]
        except DICOM_ERRORS:  # what cannot be read cannot be judged
            continue


def _is_public(item: Any) -> bool:
    """False for a code that its hospital made up, or that has no value."""
    if _CODE_MEANING not in item and _CODE_VALUE not in item:
        return True
    return _CODE_VALUE in item and str(item.get("CodingSchemeDesignator", "")) in _SCHEMES


def _values(element: Any) -> list[Any]:
    if element.value is None:
        return []
    return list(element.value) if element.VM > 1 else [element.value]


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return str(value).strip() == ""
    return True
