# SPDX-License-Identifier: Apache-2.0
"""DICOM PS3.15 Annex E: the Basic Application Level Confidentiality Profile, and a stricter rule for the rest.

Attributes in the standard's table are treated as it prescribes, in sequences too. Of all others, only numbers, codes
and defined terms are kept that describe the picture and its acquisition: free text, names, dates, unknown and private
attributes, overlays and curves are removed, because they can contain anything.
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

from vfss.clips.dicom.values import DICOM_ERRORS
from vfss.project.case_key import CaseKey

EDITION = "2026c"
"""Edition of the standard whose table is applied."""

_ACTIONS = ("D", "Z", "X", "U", "Z_D", "X_Z", "X_D", "X_Z_D", "X_Z_U_STAR")
_DUMMIES = {"DA": "19000101", "TM": "000000", "DT": "19000101000000"}
"""Values where the object needs one; the date is before any examination."""

_GROUPS = frozenset({0x0008, 0x0018, 0x0020, 0x0028, 0x0054, 0x2050, 0x5200})
_NUMBERS = frozenset({"US", "SS", "UL", "SL", "UV", "SV", "FL", "FD", "AT"})
_NUMBER_STRINGS = frozenset({"DS", "IS"})
_KEPT_TEXT = frozenset({0x00080070, 0x00081090, 0x00181020, 0x00080100, 0x00080102, 0x00080104})
"""Text that is kept: manufacturer, model, software, and the parts of a code."""
_SEQUENCES = frozenset({0x00082218, 0x00082220, 0x00082228, 0x00089215, 0x00089124, 0x0040A170})
"""Kept sequences outside the groups of acquisition and pixels: anatomy, derivation, purpose of a reference."""
_SEQUENCE_GROUPS = frozenset({0x0018, 0x0020, 0x0028, 0x0054, 0x5200})
_TABLES = frozenset({"OB", "OW"})
_SCHEMES = frozenset({"DCM", "SCT", "SRT", "SNM3", "UCUM", "RADLEX", "FMA", "LN", "NCIt", "UMLS"})
"""Public coding schemes; codes of a hospital's own scheme can contain anything."""
_TERM = re.compile(r"[A-Z0-9_ ]{0,16}")
_STANDARD_UID = "1.2.840.10008."
_SOP_CLASSES = frozenset({0x00080016, 0x00081150})
_CODE_VALUE, _CODE_MEANING = 0x00080100, 0x00080104


class Profile:
    """De-identifies headers; UIDs are replaced through one case key, so that references between objects stay valid."""

    def __init__(self, key: CaseKey) -> None:
        """Load the standard's table from dicom-anonymizer."""
        self._key = key
        table = dicom_anonymization_database_selector(f"dicomfields_{EDITION}")
        self._actions = {
            (tag[0] << 16) + tag[1]: action for action in _ACTIONS for tag in table[f"{action}_TAGS"] if len(tag) == 2
        }

    def cleaned(self, dataset: Any, *, dummies: bool) -> Any:
        """Return a new dataset of the elements that may be kept; the given one is not changed.

        Args:
            dataset: pydicom Dataset without file meta information and pixels.
            dummies: Give dates and times that the object must have a dummy value (enhanced objects) instead of none.
        """
        clean = Dataset()
        for element in _elements(dataset):
            cleaned_element = self._cleaned_element(element, dummies)
            if cleaned_element is not None:
                clean.add(cleaned_element)
        return clean

    def _cleaned_element(self, element: Any, dummies: bool) -> Any:
        """Return the element as it may be kept, None if it must be removed."""
        action = self._actions.get(int(element.tag))
        if action is None:
            return self._unlisted(element, dummies)
        if action == "U":
            return self._with_new_uids(element)
        if action == "X_Z_U_STAR":
            return self._sequence(element, dummies) if element.VR == "SQ" else None
        needs_value = action == "D" or (dummies and action in ("Z_D", "X_D", "X_Z_D"))
        if needs_value and element.VR in _DUMMIES:
            return DataElement(element.tag, element.VR, _DUMMIES[element.VR])
        if action in ("Z", "Z_D", "X_Z"):
            return DataElement(element.tag, element.VR, Sequence() if element.VR == "SQ" else None)
        return None

    def _unlisted(self, element: Any, dummies: bool) -> Any:
        """Return an element that is not in the table if it can hold neither text nor dates, else None."""
        tag, vr = int(element.tag), element.VR
        if element.tag.group not in _GROUPS and tag not in _SEQUENCES:
            return None
        if vr == "SQ":
            keep = element.tag.group in _SEQUENCE_GROUPS or tag in _SEQUENCES
            return self._sequence(element, dummies) if keep else None
        if vr == "UI":
            return element if tag in _SOP_CLASSES else self._with_new_uids(element)
        vrs = set(vr.split(" or "))  # with implicit VRs some stay ambiguous: "US or SS"
        keep = (
            vrs <= _NUMBERS
            or (vr in _NUMBER_STRINGS and all(_is_number(value) for value in _values(element)))
            or (vr == "CS" and all(_TERM.fullmatch(str(value)) for value in _values(element)))
            or (vrs <= _NUMBERS | _TABLES and element.tag.group == 0x0028)
            or tag in _KEPT_TEXT
        )
        return element if keep else None

    def _with_new_uids(self, element: Any) -> Any:
        """Return the element with all UIDs replaced except those of the standard."""
        new = [
            value if not value or value.startswith(_STANDARD_UID) else self._key.uid(value)
            for value in map(str, _values(element))
        ]
        return DataElement(element.tag, "UI", new[0] if len(new) == 1 else new or None)

    def _sequence(self, element: Any, dummies: bool) -> Any:
        """Return the sequence with cleaned items; None if nothing is left of it."""
        items = [self.cleaned(item, dummies=dummies) for item in element.value if _is_public(item)]
        for item in items:
            if _CODE_MEANING in item:
                item[_CODE_MEANING].value = str(item[_CODE_VALUE].value)[:64]
        items = [item for item in items if len(item)]
        return DataElement(element.tag, "SQ", Sequence(items)) if items else None


def _elements(dataset: Any) -> Iterator[Any]:
    """Yield the readable standard elements, without file meta information, overlays, curves and pixels."""
    for tag in sorted(dataset.keys()):
        known = not tag.is_private and dictionary_has_tag(tag) and 0x0004 < tag.group < 0x7F00
        if not known or 0x50 <= tag.group >> 8 <= 0x51 or tag.group >> 8 == 0x60:
            continue
        try:
            yield dataset[tag]
        except DICOM_ERRORS:  # an unreadable element cannot be checked, so it is removed
            continue


def _is_public(item: Any) -> bool:
    """Return False for a code of a private coding scheme, or without a value."""
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
